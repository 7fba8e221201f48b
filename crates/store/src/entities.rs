//! Entities: the newest version of each, by workspace, type and unique id.

use std::collections::HashMap;

use hookrail_domain::{
    Millis,
    ids::{EventId, SourceId, WorkspaceId},
};
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{StoreError, rows, statement};

/// What identifies an entity. The unique id is compared as it is stored (see [`EntityKey::new`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityKey {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its type.
    pub entity_type: String,
    /// Its unique id.
    pub unique_id: String,
}

impl EntityKey {
    /// The key of an entity; NUL in the unique id is escaped as the store does.
    pub fn new(workspace: WorkspaceId, entity_type: &str, unique_id: &str) -> Self {
        Self {
            workspace,
            entity_type: entity_type.to_owned(),
            unique_id: rows::escaped(unique_id).into_owned(),
        }
    }
}

/// Which event an entity's data is from. Within a partition the sequence decides what is newer;
/// between partitions the broker's time does, then the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityVersion {
    /// The raw partition.
    pub partition: u32,
    /// The sequence in it.
    pub sequence: u64,
    /// When the broker took the event.
    pub at: Millis,
}

impl EntityVersion {
    /// Whether this version replaces `stored`.
    pub fn replaces(&self, stored: &Self) -> bool {
        if self.partition == stored.partition {
            self.sequence > stored.sequence
        } else {
            (self.at, self.sequence) > (stored.at, stored.sequence)
        }
    }
}

impl std::fmt::Display for EntityVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.partition, self.sequence)
    }
}

/// An entity to store.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityWrite {
    /// Which.
    pub key: EntityKey,
    /// The source that it came by.
    pub source: Option<SourceId>,
    /// What people know it by.
    pub title: Option<String>,
    /// Its indexed fields: a JSON object.
    pub fields: String,
    /// The whole entity: JSON.
    pub data: String,
    /// The event's place.
    pub version: EntityVersion,
    /// When the event was accepted.
    pub at: Millis,
    /// The event.
    pub event: EventId,
}

/// An entity as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct EntityRow {
    /// Its workspace.
    pub workspace: String,
    /// Its type.
    pub entity_type: String,
    /// Its unique id.
    pub unique_id: String,
    /// The source of the last event.
    pub source: Option<String>,
    /// What people know it by.
    pub title: Option<String>,
    /// Its indexed fields: a JSON object.
    pub fields: String,
    /// The whole entity: JSON.
    pub data: String,
    /// See [`EntityVersion`].
    pub version_partition: i64,
    /// See [`EntityVersion`].
    pub version_sequence: i64,
    /// See [`EntityVersion`].
    pub version_at: i64,
    /// When it was first seen, milliseconds.
    pub first_seen_at: i64,
    /// When it last changed, milliseconds.
    pub updated_at: i64,
    /// The event that changed it last.
    pub last_event_id: String,
}

impl EntityRow {
    /// Its version.
    pub fn version(&self) -> EntityVersion {
        EntityVersion {
            partition: u32::try_from(self.version_partition).unwrap_or(u32::MAX),
            sequence: self.version_sequence.unsigned_abs(),
            at: self.version_at,
        }
    }
}

/// The columns of an [`EntityRow`].
pub const COLUMNS: &str = "workspace, entity_type, unique_id, source, title, fields, data, version_partition, \
     version_sequence, version_at, first_seen_at, updated_at, last_event_id";

const UPSERT: &str = "ON CONFLICT (workspace, entity_type, unique_id) DO UPDATE SET \
     source = excluded.source, title = excluded.title, fields = excluded.fields, data = excluded.data, \
     version_partition = excluded.version_partition, version_sequence = excluded.version_sequence, \
     version_at = excluded.version_at, updated_at = excluded.updated_at, last_event_id = excluded.last_event_id \
     WHERE (entities.version_partition = excluded.version_partition \
            AND entities.version_sequence < excluded.version_sequence) \
        OR (entities.version_partition <> excluded.version_partition \
            AND (entities.version_at, entities.version_sequence) < (excluded.version_at, excluded.version_sequence))";

/// Stores entities; an older version never replaces a newer one. Of several writes of one entity the
/// last one counts. In key order, so that transactions of several partitions don't deadlock.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn upsert<C: ConnectionTrait>(connection: &C, writes: Vec<EntityWrite>) -> Result<u64, StoreError> {
    let last: std::collections::BTreeMap<EntityKey, EntityWrite> = writes
        .into_iter()
        .map(|write| (write.key.clone(), write))
        .collect();
    let rows = last.into_values().map(row).collect();
    rows::insert(connection, &format!("entities ({COLUMNS})"), rows, UPSERT).await
}

fn row(write: EntityWrite) -> Vec<sea_orm::Value> {
    vec![
        rows::id(write.key.workspace),
        rows::text(write.key.entity_type),
        rows::text(write.key.unique_id),
        rows::id_or_null(write.source),
        rows::text_or_null(write.title),
        write.fields.into(),
        write.data.into(),
        rows::number(write.version.partition),
        rows::number(write.version.sequence),
        write.version.at.into(),
        write.at.into(),
        write.at.into(),
        rows::id(write.event),
    ]
}

/// The stored entities with these keys; those that aren't stored are left out.
///
/// # Errors
/// When the database cannot be used now.
pub async fn load<C: ConnectionTrait>(
    connection: &C,
    keys: &[EntityKey],
) -> Result<HashMap<EntityKey, EntityRow>, StoreError> {
    let mut found = HashMap::new();
    let values = keys.iter().map(|key| {
        vec![
            rows::id(key.workspace),
            rows::text(&key.entity_type),
            rows::text(&key.unique_id),
        ]
    });
    for (tuples, values) in rows::lookups(values.collect()) {
        let sql = format!(
            "SELECT {COLUMNS} FROM entities WHERE (workspace, entity_type, unique_id) IN (VALUES {tuples})"
        );
        for row in statement::all(connection, &sql, values).await? {
            let row = EntityRow::from_query_result(&row, "")?;
            found.insert(key_of(&row)?, row);
        }
    }
    Ok(found)
}

fn key_of(row: &EntityRow) -> Result<EntityKey, StoreError> {
    let workspace = row
        .workspace
        .parse()
        .map_err(|error: hookrail_domain::ids::IdError| StoreError::Unreadable {
            table: "entities",
            row: row.unique_id.clone(),
            reason: error.to_string(),
        })?;
    Ok(EntityKey {
        workspace,
        entity_type: row.entity_type.clone(),
        unique_id: row.unique_id.clone(),
    })
}
