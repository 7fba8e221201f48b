//! The senders' and callers' own keys of events, by which a repetition is known after the broker has
//! forgotten it.

use std::collections::HashMap;

use hookrail_domain::{Millis, ids::EventId};
use sea_orm::ConnectionTrait;

use crate::{StoreError, rows, statement};

/// Keys looked up in one statement.
const MAX_KEYS: usize = 1_000;

/// The event that was first with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstEvent {
    /// The event.
    pub event: EventId,
    /// The hash of its body; none = it was not kept then.
    pub body_hash: Option<String>,
}

/// The events that were first with these keys, seen at `since` or later.
///
/// # Errors
/// When the database cannot be used now.
pub async fn load<C: ConnectionTrait>(
    connection: &C,
    message_ids: &[String],
    since: Millis,
) -> Result<HashMap<String, FirstEvent>, StoreError> {
    let mut found = HashMap::new();
    for some in message_ids.chunks(MAX_KEYS) {
        let places: Vec<String> = (2..some.len() + 2).map(|place| format!("${place}")).collect();
        let sql = format!(
            "SELECT message_id, event, body_hash FROM event_keys WHERE seen_at >= $1 AND message_id IN ({})",
            places.join(", ")
        );
        let mut values = vec![since.into()];
        values.extend(some.iter().map(rows::text));
        for row in statement::all(connection, &sql, values).await? {
            let event: String = statement::column(&row, "event")?;
            if let Ok(event) = event.parse() {
                let body_hash = statement::column(&row, "body_hash")?;
                let first = FirstEvent { event, body_hash };
                found.insert(statement::column(&row, "message_id")?, first);
            }
        }
    }
    Ok(found)
}

/// Remembers the first events with their keys; a key that was forgotten belongs to the new event.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn remember<C: ConnectionTrait>(
    connection: &C,
    keys: &[(String, FirstEvent)],
    now: Millis,
) -> Result<u64, StoreError> {
    let first: std::collections::BTreeMap<&String, &FirstEvent> = keys
        .iter()
        .rev()
        .map(|(message_id, event)| (message_id, event))
        .collect();
    let rows = first
        .into_iter()
        .map(|(key, first)| {
            let body_hash = rows::text_or_null(first.body_hash.as_ref());
            vec![rows::text(key), rows::id(first.event), now.into(), body_hash]
        })
        .collect();
    let tail = "ON CONFLICT (message_id) DO UPDATE \
        SET event = excluded.event, seen_at = excluded.seen_at, body_hash = excluded.body_hash";
    rows::insert(
        connection,
        "event_keys (message_id, event, seen_at, body_hash)",
        rows,
        tail,
    )
    .await
}

/// Forgets the keys seen before `before`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn forget<C: ConnectionTrait>(connection: &C, before: Millis) -> Result<u64, StoreError> {
    statement::change(
        connection,
        "DELETE FROM event_keys WHERE seen_at < $1",
        vec![before.into()],
    )
    .await
}
