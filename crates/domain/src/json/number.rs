//! A JSON number as the text that was received, compared by value without ever becoming a float.

use std::cmp::Ordering;
use std::fmt;

/// Exponents are compared exactly up to this magnitude; beyond it they count as this one. A number
/// that needs more digits in its exponent than this is none that anybody means.
const MAX_EXPONENT: i128 = 1_000_000_000_000_000_000_000_000_000_000;

/// A number's text, valid by RFC 8259. `==` compares the text; [`Number::equals`] the value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number(Box<str>);

impl Number {
    /// Takes a text that is a JSON number; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        is_number(text.as_bytes()).then(|| Self(text.into()))
    }

    /// For a text that a JSON parser has found to be a number.
    pub(super) fn from_checked(text: &str) -> Self {
        Self(text.into())
    }

    /// The text as it was received: `1.10` stays `1.10`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value, where it was written as a plain integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// `1`, `1.0` and `1e0` are equal.
    pub fn equals(&self, other: &Number) -> bool {
        self.0 == other.0 || self.compare(other) == Ordering::Equal
    }

    /// Exact order of the values, for integers and decimals of any length.
    pub fn compare(&self, other: &Number) -> Ordering {
        let (a, b) = (Decimal::of(&self.0), Decimal::of(&other.0));
        match (a.sign(), b.sign()) {
            (x, y) if x != y => x.cmp(&y),
            (0, _) => Ordering::Equal,
            (1, _) => a.compare_magnitude(&b),
            _ => b.compare_magnitude(&a),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(value.to_string().into())
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(value.to_string().into())
    }
}

/// A number's text taken apart: sign, digits, and the power of ten of its first digit that isn't 0.
struct Decimal<'a> {
    negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    /// Leading zeros of `integer` and `fraction` together.
    leading_zeros: usize,
    power: i128,
}

impl<'a> Decimal<'a> {
    fn of(text: &'a str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (integer, fraction) = (integer.as_bytes(), fraction.as_bytes());
        let leading_zeros = integer
            .iter()
            .chain(fraction)
            .take_while(|digit| **digit == b'0')
            .count();
        let power = read_exponent(exponent) + integer.len() as i128 - leading_zeros as i128;
        Self {
            negative,
            integer,
            fraction,
            leading_zeros,
            power,
        }
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.integer
            .iter()
            .chain(self.fraction)
            .skip(self.leading_zeros)
            .copied()
    }

    fn sign(&self) -> i8 {
        if self.leading_zeros == self.integer.len() + self.fraction.len() {
            0
        } else if self.negative {
            -1
        } else {
            1
        }
    }

    fn compare_magnitude(&self, other: &Decimal<'_>) -> Ordering {
        if self.power != other.power {
            return self.power.cmp(&other.power);
        }
        let (mut a, mut b) = (self.digits(), other.digits());
        loop {
            match (a.next(), b.next()) {
                (None, None) => return Ordering::Equal,
                (x, y) => match x.unwrap_or(b'0').cmp(&y.unwrap_or(b'0')) {
                    Ordering::Equal => {}
                    unequal => return unequal,
                },
            }
        }
    }
}

fn read_exponent(text: &str) -> i128 {
    let limit = if text.starts_with('-') {
        -MAX_EXPONENT
    } else {
        MAX_EXPONENT
    };
    text.parse::<i128>()
        .map_or(limit, |exponent| exponent.clamp(-MAX_EXPONENT, MAX_EXPONENT))
}

/// RFC 8259, section 6: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
fn is_number(text: &[u8]) -> bool {
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    let (integer, rest) = split_digits(rest);
    if integer.is_empty() || (integer.len() > 1 && integer[0] == b'0') {
        return false;
    }
    let rest = match rest.strip_prefix(b".") {
        Some(rest) => match split_digits(rest) {
            ([], _) => return false,
            (_, rest) => rest,
        },
        None => rest,
    };
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', digits @ ..] | [b'e' | b'E', digits @ ..] => {
            !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(a: &str, b: &str, expected: Ordering) {
        let (a, b) = (Number::parse(a).unwrap(), Number::parse(b).unwrap());
        assert_eq!(a.compare(&b), expected, "{a} {b}");
        assert_eq!(b.compare(&a), expected.reverse(), "{b} {a}");
    }

    #[test]
    fn equal_values_written_differently_are_equal() {
        for (a, b) in [
            ("1", "1.0"),
            ("1", "1e0"),
            ("1", "10e-1"),
            ("1", "0.1E+1"),
            ("0", "-0"),
            ("0", "0e99999999999999999999999999999999999999999"),
            ("0.000", "-0e5"),
            ("100", "1e2"),
            ("-1.10", "-1.1"),
            ("820982911946154508", "820982911946154508.000"),
        ] {
            check(a, b, Ordering::Equal);
        }
    }

    #[test]
    fn neighbours_beyond_2_to_the_53_are_different() {
        check("9007199254740992", "9007199254740993", Ordering::Less);
        check("820982911946154508", "820982911946154509", Ordering::Less);
        check("0.1", "0.10000000000000000000000000000000001", Ordering::Less);
        check("1e400", "1e401", Ordering::Less);
        check("-1e400", "-1e401", Ordering::Greater);
        check("-5", "0.001", Ordering::Less);
        check("99", "100", Ordering::Less);
        check(
            "1e-999999999999999999999999999999999999999999",
            "1e-5",
            Ordering::Less,
        );
    }

    #[test]
    fn only_json_numbers_are_numbers() {
        for text in [
            "", "-", "01", "+1", ".5", "1.", "1e", "1e+", "NaN", "0x1", "1 ", "--1", "1.e1",
        ] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
        for text in ["0", "-0", "1.5e-10", "10", "1E5", "0.0"] {
            assert!(Number::parse(text).is_some(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn integers_compare_as_integers(a: i64, b: i64) {
            prop_assert_eq!(Number::from(a).compare(&Number::from(b)), a.cmp(&b));
        }

        #[test]
        fn a_shifted_point_changes_nothing(digits in "[1-9][0-9]{0,30}", shift in 0usize..40) {
            let plain = Number::parse(&digits).unwrap();
            let zeros = "0".repeat(shift);
            let shifted = Number::parse(&format!("{digits}{zeros}e-{shift}")).unwrap();
            prop_assert!(plain.equals(&shifted));
        }
    }
}
