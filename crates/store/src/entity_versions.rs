//! The versions that an entity has had, as many as its source keeps. An entity that never changed has none
//! here: what it is, is its only version.

use std::collections::BTreeMap;

use hookrail_domain::{Millis, ids::EventId};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use crate::{
    StoreError,
    entities::{EntityKey, EntityVersion},
    rows, statement,
};

/// A version to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionWrite {
    /// The entity.
    pub key: EntityKey,
    /// Its place among the entity's versions; two have the same one only where events from different
    /// partitions changed the entity at the same moment.
    pub number: u64,
    /// The event's place.
    pub version: EntityVersion,
    /// `created`, `updated` or `deleted`.
    pub change: &'static str,
    /// The event.
    pub event: EventId,
    /// When the event was accepted.
    pub at: Millis,
    /// What people knew it by.
    pub title: Option<String>,
    /// Its indexed fields: a JSON object.
    pub fields: String,
    /// The whole entity: JSON. Of a deleted one what it was last.
    pub data: String,
}

/// Versions that are over the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionTrim {
    /// The entity.
    pub key: EntityKey,
    /// The number of the last one to go.
    pub through: u64,
}

/// A version as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct VersionRow {
    /// Its place among the entity's versions.
    pub number: i64,
    /// See [`EntityVersion`].
    pub version_partition: i64,
    /// See [`EntityVersion`].
    pub version_sequence: i64,
    /// `created`, `updated` or `deleted`.
    pub change: String,
    /// The event.
    pub event: String,
    /// When the event was accepted, milliseconds.
    pub at: i64,
    /// What people knew it by.
    pub title: Option<String>,
    /// Its indexed fields: a JSON object.
    pub fields: String,
    /// The whole entity: JSON.
    pub data: String,
}

const KEY: &str = "workspace, entity_type, unique_id, number, version_partition, version_sequence";

/// The columns of a [`VersionRow`].
pub(crate) const COLUMNS: &str =
    "number, version_partition, version_sequence, change, event, at, title, fields, data";

/// Stores versions, those that are stored already stay as they are, and removes what is over the limit.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn write<C: ConnectionTrait>(
    connection: &C,
    versions: &[&VersionWrite],
    trims: &[&VersionTrim],
) -> Result<(), StoreError> {
    let head = format!("entity_versions ({KEY}, change, event, at, title, fields, data)");
    let rows = versions.iter().map(|version| row(version)).collect();
    rows::insert(connection, &head, rows, "ON CONFLICT DO NOTHING").await?;
    let mut through: BTreeMap<&EntityKey, u64> = BTreeMap::new();
    for trim in trims {
        let most = through.entry(&trim.key).or_default();
        *most = trim.through.max(*most);
    }
    let limits = through.into_iter().map(|(key, through)| limit(key, through));
    remove(connection, limits.collect()).await
}

/// Removes all versions of these entities.
pub(crate) async fn forget<C: ConnectionTrait>(connection: &C, keys: &[EntityKey]) -> Result<(), StoreError> {
    let limits = keys.iter().map(|key| limit(key, u64::MAX));
    remove(connection, limits.collect()).await
}

fn limit(key: &EntityKey, through: u64) -> Vec<Value> {
    vec![
        rows::id(key.workspace),
        rows::text(&key.entity_type),
        rows::text(&key.unique_id),
        rows::number(through),
    ]
}

async fn remove<C: ConnectionTrait>(connection: &C, limits: Vec<Vec<Value>>) -> Result<(), StoreError> {
    for (tuples, values) in rows::chunks(limits) {
        let sql = format!(
            "DELETE FROM entity_versions WHERE ({KEY}) IN ( \
               SELECT v.workspace, v.entity_type, v.unique_id, v.number, v.version_partition, v.version_sequence \
               FROM (VALUES {tuples}) AS l JOIN entity_versions AS v \
               ON v.workspace = l.column1 AND v.entity_type = l.column2 AND v.unique_id = l.column3 \
               AND v.number <= l.column4)"
        );
        statement::change(connection, &sql, values).await?;
    }
    Ok(())
}

fn row(write: &VersionWrite) -> Vec<Value> {
    vec![
        rows::id(write.key.workspace),
        rows::text(&write.key.entity_type),
        rows::text(&write.key.unique_id),
        rows::number(write.number),
        rows::number(write.version.partition),
        rows::number(write.version.sequence),
        write.change.into(),
        rows::id(write.event),
        write.at.into(),
        rows::text_or_null(write.title.as_deref()),
        write.fields.as_str().into(),
        write.data.as_str().into(),
    ]
}
