//! Events that Hookrail makes itself, on their way into the log: stored in the transaction that makes
//! them true, removed once the log has them. An event that is stored twice has the same id.

use hookrail_domain::{
    Millis,
    ids::{EventId, WorkspaceId},
    internal_event::InternalEvent,
    json::Json,
};
use sea_orm::{ConnectionTrait, QueryResult};

use crate::{StoreError, rows, statement};

/// An event to be put into the log.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredInternalEvent {
    /// Its id, which names its raw partition.
    pub id: EventId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its type.
    pub event_type: String,
    /// Events with the same key keep their order.
    pub ordering_key: String,
    /// What it says.
    pub data: Json,
    /// When it became true.
    pub at: Millis,
}

/// Stores events; those that are there already stay as they are.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn insert<C: ConnectionTrait>(connection: &C, events: &[InternalEvent]) -> Result<u64, StoreError> {
    let rows = events
        .iter()
        .map(|event| {
            vec![
                rows::id(event.id),
                rows::id(event.workspace),
                event.event_type.into(),
                rows::text(&event.ordering_key),
                rows::text(event.data.to_compact_string()),
                event.at.into(),
            ]
        })
        .collect();
    let head = "internal_events (id, workspace, event_type, ordering_key, data, at)";
    rows::insert(connection, head, rows, "ON CONFLICT (id) DO NOTHING").await
}

/// The oldest events after `after`, at most `most`: an id begins with the time at which its event became
/// true.
///
/// # Errors
/// When the database cannot be used now.
pub async fn oldest<C: ConnectionTrait>(
    connection: &C,
    after: Option<EventId>,
    most: u32,
) -> Result<Vec<StoredInternalEvent>, StoreError> {
    let sql = "SELECT id, workspace, event_type, ordering_key, data, at FROM internal_events \
               WHERE id > $1 ORDER BY id LIMIT $2";
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let found = statement::all(connection, sql, vec![after.into(), i64::from(most).into()]).await?;
    found.iter().map(read).collect()
}

/// Removes an event that the log has.
///
/// # Errors
/// When the database cannot be used now.
pub async fn delete<C: ConnectionTrait>(connection: &C, ids: &[EventId]) -> Result<u64, StoreError> {
    let sql = format!(
        "DELETE FROM internal_events WHERE id IN ({})",
        rows::places(1, ids.len())
    );
    statement::change(connection, &sql, ids.iter().map(rows::id).collect()).await
}

fn read(row: &QueryResult) -> Result<StoredInternalEvent, StoreError> {
    let id: String = statement::column(row, "id")?;
    let workspace: String = statement::column(row, "workspace")?;
    let data: String = statement::column(row, "data")?;
    let unreadable = |reason: String| StoreError::Unreadable {
        table: "internal_events",
        row: id.clone(),
        reason,
    };
    Ok(StoredInternalEvent {
        id: id.parse().map_err(|_| unreadable("no id".to_owned()))?,
        workspace: workspace
            .parse()
            .map_err(|_| unreadable("no workspace".to_owned()))?,
        event_type: statement::column(row, "event_type")?,
        ordering_key: statement::column(row, "ordering_key")?,
        data: Json::parse(data.as_bytes()).map_err(|error| unreadable(error.to_string()))?,
        at: statement::column(row, "at")?,
    })
}
