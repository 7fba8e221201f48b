//! Entities: the newest version of each, by workspace, type and unique id. One that was deleted stays for a
//! time as a tombstone, which lists and reads leave out.

use std::collections::{BTreeMap, HashMap};

use hookrail_domain::{
    Millis,
    ids::{EventId, IdError, SourceId, WorkspaceId},
};
use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult};

use crate::{
    StoreError,
    entity_terms::{self, TermChange},
    entity_versions, rows, statement,
};

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
    /// The whole entity: JSON. Of a deleted one what it was last.
    pub data: String,
    /// The event's place.
    pub version: EntityVersion,
    /// When it was first seen; again, where it was deleted before.
    pub first_seen_at: Millis,
    /// When it last changed.
    pub at: Millis,
    /// The event that changed it last.
    pub event: EventId,
    /// When it was deleted: such an entity is kept as a tombstone, so that no older event brings it back.
    pub deleted_at: Option<Millis>,
    /// The number of its newest version in [`crate::entity_versions`]; 0 where none are kept.
    pub versions: u64,
    /// What it replaces, as far as known.
    pub before: Option<EntityBefore>,
}

/// An entity as it was before a write: what the terms that find it follow from.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityBefore {
    /// Its version then.
    pub version: EntityVersion,
    /// When it was first seen.
    pub first_seen_at: Millis,
    /// Its title.
    pub title: Option<String>,
    /// Its indexed fields: a JSON object.
    pub fields: String,
    /// Whether it was deleted.
    pub is_deleted: bool,
    /// Whether its terms are stored.
    pub has_terms: bool,
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
    /// When it was deleted, milliseconds.
    pub deleted_at: Option<i64>,
    /// The number of its newest version; 0 where none are kept.
    pub versions: i64,
    /// By which rules its terms are stored; none = they aren't.
    pub terms_rules: Option<i64>,
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

    /// What it is, for a write that replaces it.
    pub fn before(&self) -> EntityBefore {
        EntityBefore {
            version: self.version(),
            first_seen_at: self.first_seen_at,
            title: self.title.clone(),
            fields: self.fields.clone(),
            is_deleted: self.deleted_at.is_some(),
            has_terms: self.terms_rules.is_some(),
        }
    }
}

/// The columns of an [`EntityKey`].
pub(crate) const KEY: [&str; 3] = ["workspace", "entity_type", "unique_id"];

/// The columns of an [`EntityRow`].
pub const COLUMNS: &str = "workspace, entity_type, unique_id, source, title, fields, data, version_partition, \
     version_sequence, version_at, first_seen_at, updated_at, last_event_id, deleted_at, versions, terms_rules";

/// Gives which writes were taken, each with the place of the version that it replaced.
const UPSERT: &str = "ON CONFLICT (workspace, entity_type, unique_id) DO UPDATE SET \
     source = excluded.source, title = excluded.title, fields = excluded.fields, data = excluded.data, \
     version_partition = excluded.version_partition, version_sequence = excluded.version_sequence, \
     version_at = excluded.version_at, first_seen_at = excluded.first_seen_at, updated_at = excluded.updated_at, \
     last_event_id = excluded.last_event_id, deleted_at = excluded.deleted_at, versions = excluded.versions, \
     terms_rules = excluded.terms_rules, \
     replaced_partition = entities.version_partition, replaced_sequence = entities.version_sequence \
     WHERE (entities.version_partition = excluded.version_partition \
            AND entities.version_sequence < excluded.version_sequence) \
        OR (entities.version_partition <> excluded.version_partition \
            AND (entities.version_at, entities.version_sequence) < (excluded.version_at, excluded.version_sequence)) \
     RETURNING workspace, entity_type, unique_id, replaced_partition, replaced_sequence";

/// Stores entities and their terms; an older version never replaces a newer one. Of several writes of one
/// entity the last one counts. In key order, so that transactions of several partitions don't deadlock.
/// Gives how many were taken.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn upsert<C: ConnectionTrait>(connection: &C, writes: Vec<EntityWrite>) -> Result<u64, StoreError> {
    let mut last: BTreeMap<EntityKey, EntityWrite> = BTreeMap::new();
    for mut write in writes {
        if let Some(first) = last.get_mut(&write.key) {
            // What they replace together is what the first of them replaces.
            write.before = first.before.take();
        }
        last.insert(write.key.clone(), write);
    }
    let rows = last.values().map(row).collect();
    let head = format!("entities ({COLUMNS})");
    let returned = rows::insert_returning(connection, &head, rows, UPSERT).await?;
    let mut changes = Vec::with_capacity(returned.len());
    for row in &returned {
        let key = returned_key(row)?;
        let Some(write) = last.get(&key) else { continue };
        let partition: Option<i64> = statement::column(row, "replaced_partition")?;
        let sequence: Option<i64> = statement::column(row, "replaced_sequence")?;
        changes.push(TermChange {
            write,
            replaced: partition.zip(sequence),
        });
    }
    entity_terms::change(connection, &changes).await?;
    Ok(changes.len() as u64)
}

fn row(write: &EntityWrite) -> Vec<sea_orm::Value> {
    vec![
        rows::id(write.key.workspace),
        rows::text(&write.key.entity_type),
        rows::text(&write.key.unique_id),
        rows::id_or_null(write.source),
        rows::text_or_null(write.title.as_deref()),
        write.fields.as_str().into(),
        write.data.as_str().into(),
        rows::number(write.version.partition),
        rows::number(write.version.sequence),
        write.version.at.into(),
        write.first_seen_at.into(),
        write.at.into(),
        rows::id(write.event),
        write.deleted_at.into(),
        rows::number(write.versions),
        entity_terms::RULES.into(),
    ]
}

/// The stored entities with these keys, tombstones too; those that aren't stored are left out.
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
        let sql = format!("SELECT {COLUMNS} {}", rows::joined("entities", &KEY, &tuples));
        for row in statement::rows::<EntityRow, _>(connection, &sql, values).await? {
            found.insert(key_of(&row)?, row);
        }
    }
    Ok(found)
}

/// Removes at most `most` tombstones of entities that were deleted before `before`, with their versions; gives
/// how many.
///
/// # Errors
/// When the database cannot be used now.
pub async fn sweep_deleted<C: ConnectionTrait>(
    connection: &C,
    before: Millis,
    most: u32,
) -> Result<u64, StoreError> {
    let sql = "DELETE FROM entities WHERE deleted_at < $1 AND (workspace, entity_type, unique_id) IN \
               (SELECT workspace, entity_type, unique_id FROM entities WHERE deleted_at < $1 \
                ORDER BY deleted_at LIMIT $2) RETURNING workspace, entity_type, unique_id, first_seen_at";
    let swept = statement::all(connection, sql, vec![before.into(), i64::from(most).into()]).await?;
    let (mut gone, mut seen) = (Vec::with_capacity(swept.len()), Vec::with_capacity(swept.len()));
    for row in &swept {
        gone.push(returned_key(row)?);
        seen.push(statement::column(row, "first_seen_at")?);
    }
    entity_versions::forget(connection, &gone).await?;
    entity_terms::forget_deleted(connection, &gone, &seen).await?;
    Ok(gone.len() as u64)
}

fn returned_key(row: &QueryResult) -> Result<EntityKey, StoreError> {
    let workspace: String = statement::column(row, "workspace")?;
    read_key(
        &workspace,
        statement::column(row, "entity_type")?,
        statement::column(row, "unique_id")?,
    )
}

pub(crate) fn key_of(row: &EntityRow) -> Result<EntityKey, StoreError> {
    read_key(&row.workspace, row.entity_type.clone(), row.unique_id.clone())
}

fn read_key(workspace: &str, entity_type: String, unique_id: String) -> Result<EntityKey, StoreError> {
    let unreadable = |error: IdError| StoreError::Unreadable {
        table: "entities",
        row: unique_id.clone(),
        reason: error.to_string(),
    };
    Ok(EntityKey {
        workspace: workspace.parse().map_err(unreadable)?,
        entity_type,
        unique_id,
    })
}
