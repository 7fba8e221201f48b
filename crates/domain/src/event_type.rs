//! Event types: what routes and destinations can subscribe to.

mod own;

use serde::{Deserialize, Serialize};

pub use own::{EventTypeSpec, MAX_PART_BYTES};

/// A webhook was accepted and its source's filter let it through.
pub const WEBHOOK_RECEIVED: &str = "webhook.received";
/// An entity was seen for the first time.
pub const ENTITY_CREATED: &str = "entity.created";
/// A known entity changed.
pub const ENTITY_UPDATED: &str = "entity.updated";
/// An entity was deleted.
pub const ENTITY_DELETED: &str = "entity.deleted";
/// A delivery used up its retries.
pub const DELIVERY_DEAD: &str = "delivery.dead";
/// A destination was disabled, since its receiver wants no more.
pub const DESTINATION_DISABLED: &str = "destination.disabled";
/// A destination has more waiting deliveries than it may have.
pub const DESTINATION_OVER_QUOTA: &str = "destination.over_quota";
/// A fetcher's call was answered. Of Hookrail's own: nobody subscribes to it.
pub const FETCH_ANSWERED: &str = "fetch.answered";
/// A record of a sync. No event of the log: only deliveries are of this type.
pub const SYNC_RECORD: &str = "sync.record";
/// What a probe or a test sends.
pub const PING: &str = "hookrail.ping";

/// The event types that exist without being defined.
pub const BUILT_IN: [&str; 9] = [
    WEBHOOK_RECEIVED,
    ENTITY_CREATED,
    ENTITY_UPDATED,
    ENTITY_DELETED,
    DELIVERY_DEAD,
    DESTINATION_DISABLED,
    DESTINATION_OVER_QUOTA,
    SYNC_RECORD,
    PING,
];

/// A change of a stored entity, as an event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntityChange {
    /// Seen for the first time.
    Created,
    /// Changed.
    Updated,
    /// Deleted.
    Deleted,
}

impl EntityChange {
    /// The event type's name.
    pub fn event_type(self) -> &'static str {
        match self {
            Self::Created => ENTITY_CREATED,
            Self::Updated => ENTITY_UPDATED,
            Self::Deleted => ENTITY_DELETED,
        }
    }
}

/// Whether `text` may name an event type: words of letters, digits, `_` and `-` joined by dots, at
/// most 128 bytes.
pub fn is_type_name(text: &str) -> bool {
    let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    text.len() <= 128 && text.split('.').all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_names_are_names() {
        assert!(BUILT_IN.iter().all(|name| is_type_name(name)));
        for bad in ["", ".", "a..b", "a b", "a.", "ä"] {
            assert!(!is_type_name(bad), "{bad}");
        }
    }
}
