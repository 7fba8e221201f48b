//! The sender's id of an event, by which a repetition is known: what the source says, else what the
//! sender signed, so that a signed request can't be played again while its time is still good.

use hookrail_domain::event::DedupeKey;

use crate::intake::Intake;
use crate::ordering_key::{Request, beside_body};

/// An id that is covered by the sender's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedId {
    /// The id.
    pub(crate) id: String,
    /// How far the signed time may be off, seconds: for so long it could be played again.
    pub(crate) tolerance_s: u32,
}

/// The id of a request; `in_body` is what the body has at the source's path. A request without one is
/// taken as new.
pub(crate) fn dedupe_key(
    intake: &Intake,
    request: &Request<'_>,
    in_body: Option<String>,
    signed: Option<SignedId>,
) -> Option<DedupeKey> {
    match &intake.dedupe {
        Some(place) => {
            let key = in_body.or_else(|| beside_body(place, request))?;
            Some(DedupeKey {
                key,
                window_s: intake.source.spec.dedupe.window_s,
            })
        }
        // An id of the same text that the source's owner chose would be another one.
        None => signed
            .filter(|signed| signed.tolerance_s > 0)
            .map(|signed| DedupeKey {
                key: hookrail_domain::ordering_key::bounded(format!("signed {}", signed.id)),
                window_s: signed.tolerance_s,
            }),
    }
}
