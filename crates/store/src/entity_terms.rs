//! The terms by which entities are found (`hookrail_domain::entity::terms`): for each term the entities
//! that have it, in the order of the list, so that a page of any of them is one walk over an index.
//!
//! An entity that has a term is always in the term's list. One in a list may have lost the term, where two
//! events from different partitions changed it at the same moment: whoever searches looks at the entity.

use std::collections::BTreeSet;

use hookrail_domain::{Millis, entity::terms, ids::WorkspaceId, json::Json};
use sea_orm::{ConnectionTrait, DbBackend, Value};

use crate::{
    StoreError,
    entities::{COLUMNS, EntityBefore, EntityKey, EntityRow, EntityWrite, KEY, key_of},
    rows, statement,
};

/// The rules by which terms are made. Raised where they change, with a step that says of all entities that
/// they have none: then they get them anew.
pub(crate) const RULES: i64 = 1;

/// Terms removed in one statement.
const REMOVED_AT_ONCE: usize = 64;

/// The columns of the table, which are its key.
pub(crate) const ENTRY: [&str; 5] = ["scope", "term", "first_seen_at", "entity_type", "unique_id"];

/// An entity that was written.
pub(crate) struct TermChange<'a> {
    pub(crate) write: &'a EntityWrite,
    /// Partition and sequence of the version that it replaced; none = it is new.
    pub(crate) replaced: Option<(i64, i64)>,
}

impl TermChange<'_> {
    /// What the write was made from, if that is what it replaced.
    fn before(&self) -> Option<&EntityBefore> {
        let before = self.write.before.as_ref()?;
        let place = (i64::from(before.version.partition), before.version.sequence);
        let is_same = self
            .replaced
            .is_some_and(|(partition, sequence)| (partition, sequence.unsigned_abs()) == place);
        (is_same && before.has_terms).then_some(before)
    }

    fn keeps_terms(&self) -> bool {
        let write = self.write;
        self.before().is_some_and(|before| {
            !before.is_deleted
                && write.deleted_at.is_none()
                && before.first_seen_at == write.first_seen_at
                && before.title == write.title
                && before.fields == write.fields
        })
    }
}

/// A term's list, and where in it an entity is.
type Entry = (String, Millis);

/// Brings the terms of written entities up to date.
pub(crate) async fn change<C: ConnectionTrait>(
    connection: &C,
    changes: &[TermChange<'_>],
) -> Result<(), StoreError> {
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for change in changes.iter().filter(|change| !change.keeps_terms()) {
        let key = &change.write.key;
        let now = entries_now(change.write);
        let known = change.write.before.as_ref();
        let before = known
            .map(|before| entries_before(key, before))
            .unwrap_or_default();
        // What is certain to be there needs no writing; where that is not known, all of it does.
        let there = if change.before().is_some() {
            Some(&before)
        } else {
            None
        };
        let missing = now
            .iter()
            .filter(|entry| there.is_none_or(|there| !there.contains(*entry)));
        added.extend(missing.map(|entry| row(key, entry)));
        removed.extend(before.difference(&now).map(|entry| row(key, entry)));
    }
    insert(connection, added).await?;
    remove(connection, removed).await
}

/// Gives terms to at most `most` entities that have none yet, as those of an older version; gives how many.
///
/// # Errors
/// When the database cannot be used now.
pub async fn give_to_old<C: ConnectionTrait>(connection: &C, most: u32) -> Result<u64, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM entities WHERE terms_rules IS NULL LIMIT $1");
    let found: Vec<EntityRow> = statement::rows(connection, &sql, vec![i64::from(most).into()]).await?;
    let mut keys = Vec::with_capacity(found.len());
    let mut added = Vec::new();
    for entity in &found {
        let key = key_of(entity)?;
        let entries = entries_before(&key, &entity.before());
        added.extend(entries.iter().map(|entry| self::row(&key, entry)));
        keys.push(vec![
            rows::id(key.workspace),
            rows::text(&key.entity_type),
            rows::text(&key.unique_id),
        ]);
    }
    insert(connection, added).await?;
    for (tuples, values) in rows::chunks(keys) {
        let sql = format!(
            "UPDATE entities SET terms_rules = {RULES} WHERE {}",
            rows::among("entities", &KEY, &tuples)
        );
        statement::change(connection, &sql, values).await?;
    }
    Ok(found.len() as u64)
}

/// The number that keeps the terms of workspaces apart: the random half of a workspace's id.
pub(crate) fn scope(workspace: WorkspaceId) -> i64 {
    let [.., a, b, c, d, e, f, g, h] = workspace.as_u128().to_be_bytes();
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The terms of an entity as it is stored.
pub(crate) fn of_row(row: &EntityRow) -> BTreeSet<String> {
    terms_of(&row.unique_id, row.title.as_deref(), &row.fields)
}

fn entries_now(write: &EntityWrite) -> BTreeSet<Entry> {
    if write.deleted_at.is_some() {
        return BTreeSet::from([of_deleted(&write.key, write.first_seen_at)]);
    }
    let terms = terms_of(&write.key.unique_id, write.title.as_deref(), &write.fields);
    terms
        .into_iter()
        .map(|term| (term, write.first_seen_at))
        .collect()
}

fn entries_before(key: &EntityKey, before: &EntityBefore) -> BTreeSet<Entry> {
    if before.is_deleted {
        return BTreeSet::from([of_deleted(key, before.first_seen_at)]);
    }
    let terms = terms_of(&key.unique_id, before.title.as_deref(), &before.fields);
    terms
        .into_iter()
        .map(|term| (term, before.first_seen_at))
        .collect()
}

/// A deleted entity still has its unique id, by which its events are found.
fn of_deleted(key: &EntityKey, first_seen_at: Millis) -> Entry {
    (terms::of_id(&key.unique_id), first_seen_at)
}

/// Removes at most `most` terms of a workspace that is gone; gives how many.
pub(crate) async fn forget_workspace<C: ConnectionTrait>(
    connection: &C,
    workspace: WorkspaceId,
    most: u32,
) -> Result<u64, StoreError> {
    let entry = ENTRY.join(", ");
    let sql = format!(
        "DELETE FROM entity_terms WHERE scope = $1 AND ({entry}) IN \
         (SELECT {entry} FROM entity_terms WHERE scope = $1 LIMIT $2)"
    );
    let values = vec![scope(workspace).into(), i64::from(most).into()];
    statement::change(connection, &sql, values).await
}

/// Removes what is left of deleted entities, by when they were first seen.
pub(crate) async fn forget_deleted<C: ConnectionTrait>(
    connection: &C,
    swept: &[EntityKey],
    first_seen_at: &[Millis],
) -> Result<(), StoreError> {
    let both = swept.iter().zip(first_seen_at);
    let entries = both.map(|(key, seen)| row(key, &of_deleted(key, *seen)));
    remove(connection, entries.collect()).await
}

fn terms_of(unique_id: &str, title: Option<&str>, fields: &str) -> BTreeSet<String> {
    let fields = fields.parse::<Json>().unwrap_or_default();
    let none = Default::default();
    terms::of_entity(unique_id, title, fields.as_object().unwrap_or(&none))
}

fn row(key: &EntityKey, (term, first_seen_at): &Entry) -> Vec<Value> {
    vec![
        scope(key.workspace).into(),
        rows::text(term),
        (*first_seen_at).into(),
        rows::text(&key.entity_type),
        rows::text(&key.unique_id),
    ]
}

/// Each by its whole key. For a list of keys SQLite would read all the terms of a workspace; PostgreSQL would
/// for keys with `OR` between them.
async fn remove<C: ConnectionTrait>(connection: &C, removed: Vec<Vec<Value>>) -> Result<(), StoreError> {
    if connection.get_database_backend() == DbBackend::Postgres {
        for (tuples, values) in rows::lookups(removed) {
            let sql = format!(
                "DELETE FROM entity_terms WHERE ({}) IN (VALUES {tuples})",
                ENTRY.join(", ")
            );
            statement::change(connection, &sql, values).await?;
        }
        return Ok(());
    }
    for some in removed.chunks(REMOVED_AT_ONCE) {
        let sql = format!("DELETE FROM entity_terms WHERE {}", any_of(some.len()));
        statement::change(connection, &sql, some.concat()).await?;
    }
    Ok(())
}

/// A condition that one of `entries` keys fulfils.
fn any_of(entries: usize) -> String {
    let is_one = |entry: usize| {
        let columns = ENTRY.iter().zip(entry * ENTRY.len() + 1..);
        let equal: Vec<String> = columns
            .map(|(column, place)| format!("{column} = ${place}"))
            .collect();
        format!("({})", equal.join(" AND "))
    };
    let keys: Vec<String> = (0..entries).map(is_one).collect();
    keys.join(" OR ")
}

/// In the index's order, which is cheaper than any other, and the same for all transactions.
async fn insert<C: ConnectionTrait>(connection: &C, mut added: Vec<Vec<Value>>) -> Result<(), StoreError> {
    added.sort_by(|a, b| order_of(a).cmp(&order_of(b)));
    let head = "entity_terms (scope, term, first_seen_at, entity_type, unique_id)";
    rows::insert(connection, head, added, "ON CONFLICT DO NOTHING").await?;
    Ok(())
}

fn order_of(row: &[Value]) -> Option<&str> {
    match row.get(1) {
        Some(Value::String(Some(term))) => Some(term.as_str()),
        _ => None,
    }
}
