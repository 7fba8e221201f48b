//! Which entities an event is about: what finds "all that happened to customer 42".

use hookrail_domain::ids::EventId;
use sea_orm::ConnectionTrait;

use crate::{StoreError, entities::EntityKey, rows};

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
