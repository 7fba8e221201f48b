//! What a message's reply subject says about its delivery.
//!
//! JetStream puts it there as `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer
//! sequence>.<time>.<pending>`, newer servers with a domain and an account hash before the stream
//! (NATS ADR-15). Reading it here costs no allocation.

use hookrail_domain::Millis;

/// Tokens after `$JS.ACK.` in the old form.
const TOKENS_OLD: usize = 7;

/// One delivery of one message by a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// How often the message was delivered, this time included.
    pub(crate) times: u64,
    /// The message's place in the stream.
    pub(crate) stream_sequence: u64,
    /// The delivery's number in the consumer: without gaps, so a gap is a lost message.
    pub(crate) consumer_sequence: u64,
    /// When the stream stored the message.
    pub(crate) timestamp_ms: Millis,
    /// Messages that the consumer has not given out yet.
    pub(crate) pending: u64,
}

/// Reads a reply subject; none if it isn't one of JetStream's.
pub(crate) fn parse(reply: &str) -> Option<Delivered> {
    let rest = reply.strip_prefix("$JS.ACK.")?;
    let count = rest.split('.').count();
    // The new form has domain and account hash first and may have tokens after the known nine.
    let skipped = if count == TOKENS_OLD { 2 } else { 4 };
    let mut numbers = rest.split('.').skip(skipped).map(str::parse::<u64>);
    let times = numbers.next()?.ok()?;
    let stream_sequence = numbers.next()?.ok()?;
    let consumer_sequence = numbers.next()?.ok()?;
    let nanoseconds = numbers.next()?.ok()?;
    let pending = numbers.next()?.ok()?;
    Some(Delivered {
        times,
        stream_sequence,
        consumer_sequence,
        timestamp_ms: Millis::try_from(nanoseconds / 1_000_000).ok()?,
        pending,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_reply_subjects_are_read() {
        let expected = Delivered {
            times: 2,
            stream_sequence: 34,
            consumer_sequence: 56,
            timestamp_ms: 1_700_000_000_123,
            pending: 7,
        };
        for reply in [
            "$JS.ACK.S.proc.2.34.56.1700000000123456789.7",
            "$JS.ACK._.ACCHASH.S.proc.2.34.56.1700000000123456789.7",
            "$JS.ACK.hub.ACCHASH.S.proc.2.34.56.1700000000123456789.7.token",
        ] {
            assert_eq!(parse(reply), Some(expected), "{reply}");
        }
    }

    #[test]
    fn other_subjects_are_not_deliveries() {
        for reply in ["", "_INBOX.x.y", "$JS.ACK.S.proc.x.34.56.1.7", "$JS.ACK."] {
            assert_eq!(parse(reply), None, "{reply}");
        }
    }
}
