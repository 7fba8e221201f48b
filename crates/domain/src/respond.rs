//! Request-response: a sender that waits for what becomes of its event.
//!
//! Here: the id under which an answer is kept and for how long, what an answer can be and how it looks
//! over HTTP, the token by which it can be asked for later, and what a sender may prefer. Who waits,
//! and where answers are stored, is not decided here.

mod late_token;
mod preference;
mod request_id;
mod response;

pub use late_token::{LATE_KEY_BYTES, LateKey};
pub use preference::Preference;
pub use response::{CARRIED_HEADERS, Response, ResponseOutcome, Shown};

use crate::{Millis, event::Reply};

/// How long an answer is kept that its caller was there for: long enough to be read again by an ingress
/// that lost its connection at that moment, and to be looked at.
pub const IN_TIME_KEPT_MS: Millis = 2 * 60 * 1000;
/// How long an answer is kept that came after its caller had gone.
pub const LATE_KEPT_MS: Millis = 3_600 * 1000;
/// How long an answer with an idempotency key is kept: as long as the key is known.
pub const KEYED_KEPT_MS: Millis = 24 * 3_600 * 1000;
/// How long is remembered that an answer is still to come.
pub const PENDING_KEPT_MS: Millis = 24 * 3_600 * 1000;

/// How long the answer to `reply` is kept, if it is there at `now`.
pub fn kept_ms(reply: &Reply, now: Millis) -> Millis {
    match &reply.body_hash {
        Some(_) => KEYED_KEPT_MS,
        None if now < reply.waits_until => IN_TIME_KEPT_MS,
        None => LATE_KEPT_MS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body_hash: Option<&str>, now: Millis, expected: Millis) {
        let reply = Reply {
            instance: "i".to_owned(),
            request: "r".to_owned(),
            deadline: 100,
            waits_until: 50,
            drop_late: false,
            body_hash: body_hash.map(str::to_owned),
        };
        assert_eq!(kept_ms(&reply, now), expected, "{body_hash:?} at {now}");
    }

    #[test]
    fn an_answer_is_kept_as_long_as_somebody_may_ask_for_it() {
        check(None, 49, IN_TIME_KEPT_MS);
        check(None, 50, LATE_KEPT_MS);
        check(Some("h"), 49, KEYED_KEPT_MS);
        check(Some("h"), 500, KEYED_KEPT_MS);
    }
}
