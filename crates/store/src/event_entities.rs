//! Which entities an event is about: what finds "all that happened to customer 42".

use std::collections::HashMap;

use hookrail_domain::ids::EventId;
use sea_orm::ConnectionTrait;

use crate::{StoreError, entities::EntityKey, rows, statement};

/// An event is about an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventEntity {
    /// The event.
    pub event: EventId,
    /// The entity.
    pub entity: EntityKey,
    /// `created`, `updated`, `deleted` or `unchanged`.
    pub change: &'static str,
}

/// Stores them; those that are stored already stay as they are.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn insert<C: ConnectionTrait>(connection: &C, pairs: &[EventEntity]) -> Result<u64, StoreError> {
    let rows = pairs
        .iter()
        .map(|pair| {
            vec![
                rows::id(pair.event),
                rows::id(pair.entity.workspace),
                rows::text(&pair.entity.entity_type),
                rows::text(&pair.entity.unique_id),
                pair.change.into(),
            ]
        })
        .collect();
    let head = "event_entities (event, workspace, entity_type, unique_id, change)";
    rows::insert(
        connection,
        head,
        rows,
        "ON CONFLICT (event, entity_type, unique_id) DO NOTHING",
    )
    .await
}

/// What these events did to their entities when they were processed: `change` by event, entity type and
/// unique id.
///
/// # Errors
/// When the database cannot be used now.
pub async fn changes_of<C: ConnectionTrait>(
    connection: &C,
    events: &[EventId],
) -> Result<HashMap<(EventId, String, String), String>, StoreError> {
    let sql = format!(
        "SELECT event, entity_type, unique_id, change FROM event_entities WHERE event IN ({})",
        rows::places(1, events.len())
    );
    let mut changes = HashMap::new();
    for row in statement::all(connection, &sql, events.iter().map(rows::id).collect()).await? {
        let event: String = statement::column(&row, "event")?;
        if let Ok(event) = event.parse() {
            let key = (
                event,
                statement::column(&row, "entity_type")?,
                statement::column(&row, "unique_id")?,
            );
            changes.insert(key, statement::column(&row, "change")?);
        }
    }
    Ok(changes)
}
