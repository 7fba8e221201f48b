//! The senders' and callers' own keys of events, by which a repetition is known after the broker has
//! forgotten it.

use std::collections::{BTreeMap, HashMap};

use hookrail_domain::{Millis, ids::EventId};
use sea_orm::ConnectionTrait;

use crate::{StoreError, rows, statement};

/// The event that was first with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstEvent {
    /// The event.
    pub event: EventId,
    /// The hash of its body; none = it was not kept then.
    pub body_hash: Option<String>,
    /// When the broker stored it: a key is remembered from then on.
    pub seen_at: Millis,
}

/// A key to remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyWrite {
    /// The key, unique in the installation.
    pub id: String,
    /// The event that was first with it.
    pub first: FirstEvent,
    /// When it may be forgotten.
    pub expires_at: Millis,
}

/// The events that were first with these keys, as far as they are not forgotten. Whether a key is still
/// good is for the caller to say.
///
/// # Errors
/// When the database cannot be used now.
pub async fn load<C: ConnectionTrait>(
    connection: &C,
    message_ids: &[String],
) -> Result<HashMap<String, FirstEvent>, StoreError> {
    let mut found = HashMap::new();
    let ids = message_ids.iter().map(|id| vec![rows::text(id)]).collect();
    for (tuples, values) in rows::lookups(ids) {
        let sql = format!(
            "SELECT message_id, event, body_hash, seen_at FROM event_keys WHERE message_id IN (VALUES {tuples})"
        );
        for row in statement::all(connection, &sql, values).await? {
            let event: String = statement::column(&row, "event")?;
            if let Ok(event) = event.parse() {
                let body_hash = statement::column(&row, "body_hash")?;
                let first = FirstEvent {
                    event,
                    body_hash,
                    seen_at: statement::column(&row, "seen_at")?,
                };
                found.insert(statement::column(&row, "message_id")?, first);
            }
        }
    }
    Ok(found)
}

/// Remembers the first events with their keys; a key that was forgotten, or is no longer good, belongs
/// to the new event.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn remember<C: ConnectionTrait>(connection: &C, keys: &[KeyWrite]) -> Result<u64, StoreError> {
    // Of two in one statement the later one counts: it came when the earlier was no longer good.
    let last: BTreeMap<&String, &KeyWrite> = keys.iter().map(|key| (&key.id, key)).collect();
    let row = |key: &KeyWrite| {
        vec![
            rows::text(&key.id),
            rows::id(key.first.event),
            key.first.seen_at.into(),
            rows::text_or_null(key.first.body_hash.as_ref()),
            key.expires_at.into(),
        ]
    };
    let rows = last.into_values().map(row).collect();
    let tail = "ON CONFLICT (message_id) DO UPDATE SET event = excluded.event, \
        seen_at = excluded.seen_at, body_hash = excluded.body_hash, expires_at = excluded.expires_at";
    rows::insert(
        connection,
        "event_keys (message_id, event, seen_at, body_hash, expires_at)",
        rows,
        tail,
    )
    .await
}

/// Forgets at most `most` keys that may be forgotten at `now`; gives how many there were.
///
/// # Errors
/// When the database cannot be used now.
pub async fn forget<C: ConnectionTrait>(connection: &C, now: Millis, most: u32) -> Result<u64, StoreError> {
    let sql = "DELETE FROM event_keys WHERE message_id IN (SELECT message_id FROM event_keys \
               WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
    statement::change(connection, sql, vec![now.into(), i64::from(most).into()]).await
}
