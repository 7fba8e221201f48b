//! What an event would do to the entities that are stored, were it to come now.

use std::collections::HashMap;

use hookrail_domain::entity::Extracted;
use hookrail_domain::ids::WorkspaceId;
use hookrail_domain::json::Json;
use hookrail_store::entities::{self, EntityKey, EntityRow};
use hookrail_store::sea_orm::ConnectionTrait;

use crate::error::ApiError;

/// What each of `entities` would be, in their order: `created`, `updated`, `unchanged`, `deleted`, or
/// `superseded` by a later one of the same payload.
pub(crate) async fn changes<C: ConnectionTrait>(
    connection: &C,
    workspace: WorkspaceId,
    entity_type: &str,
    entities: &[Extracted],
) -> Result<Vec<&'static str>, ApiError> {
    let keys: Vec<EntityKey> = entities
        .iter()
        .map(|entity| EntityKey::new(workspace, entity_type, &entity.unique_id))
        .collect();
    let stored = entities::load(connection, &keys).await?;
    let last: HashMap<&EntityKey, usize> = keys.iter().enumerate().map(|(place, key)| (key, place)).collect();
    let changes = keys.iter().zip(entities).enumerate();
    Ok(changes
        .map(|(place, (key, entity))| match last.get(key) {
            Some(last) if *last > place => "superseded",
            _ => change(stored.get(key).filter(|row| row.deleted_at.is_none()), entity),
        })
        .collect())
}

fn change(stored: Option<&EntityRow>, entity: &Extracted) -> &'static str {
    match (stored, entity.deletes) {
        (Some(_), true) => "deleted",
        (None, true) => "unchanged",
        (None, false) => "created",
        (Some(stored), false) if is_same(stored, entity) => "unchanged",
        (Some(_), false) => "updated",
    }
}

fn is_same(stored: &EntityRow, entity: &Extracted) -> bool {
    let fields = Json::Object(entity.fields.clone()).to_compact_string();
    let data = stored.data.parse::<Json>();
    data.is_ok_and(|data| data == entity.data) && stored.title == entity.title && stored.fields == fields
}
