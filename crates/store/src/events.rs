//! Events: what became of each. Bodies are not here but in the log, at the event's partition and
//! sequence; an event that is not here yet is still queued. One that is `received` is held, with its bytes in
//! [`crate::held_events`].

use std::collections::HashMap;

use hookrail_domain::Millis;
use hookrail_domain::event::{Event, EventStatus};
use hookrail_domain::ids::EventId;
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{StoreError, rows, statement};

/// What became of an event.
#[derive(Debug, Clone)]
pub struct EventWrite<'a> {
    /// The event.
    pub event: &'a Event,
    /// Its partition.
    pub partition: u32,
    /// Its sequence.
    pub sequence: u64,
    /// What became of it.
    pub status: EventStatus,
    /// Why it failed: a stable code, and words for people.
    pub error: Option<(&'a str, &'a str)>,
    /// The event that it repeats.
    pub duplicate_of: Option<EventId>,
    /// When it was processed.
    pub processed_at: Millis,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct EventRow {
    /// Its id.
    pub id: String,
    /// Its workspace.
    pub workspace: String,
    /// Its source; none = posted.
    pub source: Option<String>,
    /// Its type.
    pub event_type: String,
    /// What became of it.
    pub status: String,
    /// Why it failed.
    pub error_code: Option<String>,
    /// Why it failed, for people.
    pub error_detail: Option<String>,
    /// The event that it repeats.
    pub duplicate_of: Option<String>,
    /// When it was accepted, milliseconds.
    pub accepted_at: i64,
    /// When it was processed, milliseconds.
    pub processed_at: i64,
    /// The raw partition that holds it.
    pub partition: i64,
    /// Its sequence there.
    pub sequence: i64,
    /// The revision under which it was accepted.
    pub revision: i64,
    /// The body's content type.
    pub content_type: Option<String>,
    /// The body's size, bytes.
    pub size: i64,
    /// The request's method.
    pub method: String,
    /// Its trace.
    pub trace_id: String,
}

/// The columns of an [`EventRow`].
pub const COLUMNS: &str = "id, workspace, source, event_type, status, error_code, error_detail, duplicate_of, \
     accepted_at, processed_at, partition, sequence, revision, content_type, size, method, trace_id";

/// Where those of these events are that are stored: partition and sequence.
///
/// # Errors
/// When the database cannot be used now.
pub async fn places<C: ConnectionTrait>(
    connection: &C,
    ids: &[EventId],
) -> Result<HashMap<EventId, (u32, u64)>, StoreError> {
    let mut found = HashMap::new();
    let ids = ids.iter().map(|id| vec![rows::id(id)]).collect();
    for (tuples, values) in rows::lookups(ids) {
        let sql = format!("SELECT id, partition, sequence FROM events WHERE id IN (VALUES {tuples})");
        for row in statement::all(connection, &sql, values).await? {
            let id: String = statement::column(&row, "id")?;
            let partition: i64 = statement::column(&row, "partition")?;
            let sequence: i64 = statement::column(&row, "sequence")?;
            if let (Ok(id), Ok(partition), Ok(sequence)) =
                (id.parse(), partition.try_into(), sequence.try_into())
            {
                found.insert(id, (partition, sequence));
            }
        }
    }
    Ok(found)
}

/// The events with these ids, in no order; those that aren't stored are left out.
///
/// # Errors
/// When the database cannot be used now.
pub async fn load<C: ConnectionTrait>(connection: &C, ids: &[EventId]) -> Result<Vec<EventRow>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    let ids = ids.iter().map(|id| vec![rows::id(id)]).collect();
    for (tuples, values) in rows::lookups(ids) {
        let sql = format!("SELECT {COLUMNS} FROM events WHERE id IN (VALUES {tuples})");
        found.extend(statement::rows::<EventRow, _>(connection, &sql, values).await?);
    }
    Ok(found)
}

/// What a replay made of an event.
#[derive(Debug, Clone)]
pub struct EventChange<'a> {
    /// The event.
    pub event: EventId,
    /// What it was.
    pub before: &'a str,
    /// What it is now.
    pub status: EventStatus,
    /// Why it failed.
    pub error: Option<(&'a str, &'a str)>,
    /// When that was.
    pub processed_at: Millis,
}

/// Changes what became of an event, where it is still what it was. `false`: it is not.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn change<C: ConnectionTrait>(
    connection: &C,
    change: &EventChange<'_>,
) -> Result<bool, StoreError> {
    let sql = "UPDATE events SET status = $1, error_code = $2, error_detail = $3, processed_at = $4 \
               WHERE id = $5 AND status = $6";
    let values = vec![
        change.status.as_str().into(),
        rows::text_or_null(change.error.map(|(code, _)| code)),
        rows::text_or_null(change.error.map(|(_, detail)| detail)),
        change.processed_at.into(),
        rows::id(change.event),
        rows::text(change.before),
    ];
    Ok(statement::change(connection, sql, values).await? == 1)
}

/// Stores events; those that are stored already stay as they are.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn insert<C: ConnectionTrait>(
    connection: &C,
    writes: &[EventWrite<'_>],
) -> Result<u64, StoreError> {
    let rows = writes.iter().map(row).collect();
    rows::insert(
        connection,
        &format!("events ({COLUMNS})"),
        rows,
        "ON CONFLICT (id) DO NOTHING",
    )
    .await
}

/// Stores what has become of events that were held. One of which more is known already stays as it is.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn settle_held<C: ConnectionTrait>(
    connection: &C,
    writes: &[EventWrite<'_>],
) -> Result<u64, StoreError> {
    let rows = writes.iter().map(row).collect();
    let tail = "ON CONFLICT (id) DO UPDATE SET status = excluded.status, error_code = excluded.error_code, \
                error_detail = excluded.error_detail, processed_at = excluded.processed_at \
                WHERE events.status = 'received'";
    rows::insert(connection, &format!("events ({COLUMNS})"), rows, tail).await
}

fn row(write: &EventWrite<'_>) -> Vec<sea_orm::Value> {
    let event = write.event;
    vec![
        rows::id(event.id),
        rows::id(event.workspace),
        rows::id_or_null(event.source),
        rows::text(&event.event_type),
        write.status.as_str().into(),
        rows::text_or_null(write.error.map(|(code, _)| code)),
        rows::text_or_null(write.error.map(|(_, detail)| detail)),
        rows::id_or_null(write.duplicate_of),
        event.accepted_at.into(),
        write.processed_at.into(),
        rows::number(write.partition),
        rows::number(write.sequence),
        rows::number(event.revision),
        rows::text_or_null(event.content_type.as_ref()),
        rows::number(event.body.size()),
        rows::text(&event.method),
        rows::text(event.trace_id()),
    ]
}
