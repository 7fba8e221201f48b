//! Bringing two lists together that are sorted by the same keys: the rows seen now, and those known. Both come
//! page by page, so what is known of neither side beyond its page must not be decided about yet.

use std::cmp::Ordering;

/// How far one side is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach<'a> {
    /// Up to this key, included.
    To(&'a str),
    /// To its end.
    End,
}

impl<'a> Reach<'a> {
    /// How far both sides are known.
    pub fn min(self, other: Self) -> Self {
        match (self, other) {
            (Self::End, other) => other,
            (this, Self::End) => this,
            (Self::To(this), Self::To(other)) => Self::To(this.min(other)),
        }
    }

    /// Whether a key is within it.
    pub fn covers(self, key: &str) -> bool {
        match self {
            Self::To(last) => key <= last,
            Self::End => true,
        }
    }
}

/// One key, with what each side has of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Pair<S, K> {
    /// What is seen now.
    pub seen: Option<S>,
    /// What is known.
    pub known: Option<K>,
}

/// The pairs of two lists, each sorted by its keys without repetition.
pub fn pairs<S, K>(
    seen: impl IntoIterator<Item = S>,
    known: impl IntoIterator<Item = K>,
    compare: impl Fn(&S, &K) -> Ordering,
) -> Vec<Pair<S, K>> {
    let (mut seen, mut known) = (seen.into_iter().peekable(), known.into_iter().peekable());
    let mut pairs = Vec::new();
    loop {
        let order = match (seen.peek(), known.peek()) {
            (None, None) => return pairs,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => compare(one, other),
        };
        pairs.push(Pair {
            seen: if order.is_le() { seen.next() } else { None },
            known: if order.is_ge() { known.next() } else { None },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seen: &str, known: &str, expected: &str) {
        let found = pairs(seen.chars(), known.chars(), char::cmp);
        let shown: Vec<String> = found
            .iter()
            .map(|pair| format!("{}{}", pair.seen.unwrap_or('.'), pair.known.unwrap_or('.')))
            .collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn each_key_comes_once() {
        check("", "", "");
        check("ac", "", "a. c.");
        check("", "ac", ".a .c");
        check("abd", "bcd", "a. bb .c dd");
    }

    #[test]
    fn both_sides_reach_as_far_as_the_shorter() {
        assert_eq!(Reach::End.min(Reach::To("b")), Reach::To("b"));
        assert_eq!(Reach::To("a").min(Reach::To("b")), Reach::To("a"));
        assert!(Reach::To("b").covers("b") && !Reach::To("b").covers("ba") && Reach::End.covers("z"));
    }
}
