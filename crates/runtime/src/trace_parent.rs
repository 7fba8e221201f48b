//! The `traceparent` header of W3C Trace Context: one trace id from the sender's request to the last attempt.
//! `tracestate` is not kept.

use std::fmt;

/// A parsed `traceparent`: version 00.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
}

impl TraceParent {
    /// A new trace from 24 random bytes: 16 for the trace, 8 for the span. Zeros, which the format forbids, become ones.
    #[must_use]
    pub fn new(random: [u8; 24]) -> Self {
        let (trace, span) = random.split_at(16);
        let trace_id = trace
            .iter()
            .fold(0, |id: u128, byte| (id << 8) | u128::from(*byte));
        let span_id = span.iter().fold(0, |id: u64, byte| (id << 8) | u64::from(*byte));
        Self {
            trace_id: trace_id.max(1),
            span_id: span_id.max(1),
            sampled: true,
        }
    }

    /// Reads a header's value. `None` where the specification says that the header is to be ignored:
    /// wrong lengths, upper case, zeros, version ff; later versions are read as far as version 00 goes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(5, '-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let span_id = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = hex(parts.next()?, 2)?;
        let has_more = parts.next().is_some();
        if version == 0xff || (version == 0 && has_more) || trace_id == 0 || span_id == 0 {
            return None;
        }
        Some(Self {
            trace_id,
            span_id,
            sampled: flags & 1 == 1,
        })
    }

    /// The same trace with another span, as sent to the next one.
    #[must_use]
    pub fn child(self, span_id: u64) -> Self {
        Self {
            span_id: span_id.max(1),
            ..self
        }
    }

    /// The trace's id as logs show it: 32 hex digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(
            formatter,
            "00-{:032x}-{:016x}-{flags:02x}",
            self.trace_id, self.span_id
        )
    }
}

fn hex(digits: &str, length: usize) -> Option<u128> {
    let is_lower_hex = digits
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if digits.len() != length || !is_lower_hex {
        return None;
    }
    u128::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn check(input: &str, expected: Option<&str>) {
        assert_eq!(
            TraceParent::parse(input)
                .map(|parent| parent.to_string())
                .as_deref(),
            expected,
            "{input}"
        );
    }

    #[test]
    fn a_valid_header_comes_out_as_it_went_in() {
        check(EXAMPLE, Some(EXAMPLE));
    }

    #[test]
    fn a_later_version_is_read_as_version_00() {
        check(&format!("cc{}-more", &EXAMPLE[2..]), Some(EXAMPLE));
    }

    #[test]
    fn headers_against_the_specification_are_ignored() {
        for wrong in [
            "",
            "00",
            "00-0-0-0",
            &EXAMPLE.to_uppercase(),
            &format!("{EXAMPLE}-more"),
            &format!("ff{}", &EXAMPLE[2..]),
        ] {
            check(wrong, None);
        }
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", None);
    }

    #[test]
    fn a_new_trace_and_its_child_share_the_trace_id() {
        let parent = TraceParent::new([7; 24]);
        assert_eq!(parent.trace_id(), "07070707070707070707070707070707");
        assert_eq!(
            parent.child(9).to_string(),
            "00-07070707070707070707070707070707-0000000000000009-01"
        );
    }

    #[test]
    fn random_zeros_do_not_make_an_invalid_trace() {
        let text = TraceParent::new([0; 24]).to_string();
        check(&text, Some(&text));
    }
}
