//! Entities as people look for them, the newest first by when they were first seen: that never changes, so
//! pages follow each other whatever happens to the entities meanwhile.

use hookrail_domain::Millis;
use sea_orm::{ConnectionTrait, Value};

use super::conditions::Conditions;
use super::entity_search;
use crate::entities::{COLUMNS, EntityRow};
use crate::{StoreError, rows, statement};

/// Entities that one search looks at: those that have the rarest of what it looks for.
pub const LOOKED_AT: usize = 20_000;

/// Which entities are wanted; all that is given has to hold.
#[derive(Debug, Clone, Default)]
pub struct EntityFilter {
    /// Of this workspace.
    pub workspace: String,
    /// Of this type.
    pub entity_type: Option<String>,
    /// With this unique id, or with these words in their title and fields.
    pub text: Option<String>,
    /// With these values in their fields: a string, or the JSON text of anything else; or in a list of them.
    pub fields: Vec<(String, String)>,
}

/// Where an entity stands in the list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntityPlace {
    /// When it was first seen.
    pub first_seen_at: Millis,
    /// Its type.
    pub entity_type: String,
    /// Its unique id.
    pub unique_id: String,
}

impl From<&EntityRow> for EntityPlace {
    fn from(row: &EntityRow) -> Self {
        Self {
            first_seen_at: row.first_seen_at,
            entity_type: row.entity_type.clone(),
            unique_id: row.unique_id.clone(),
        }
    }
}

/// Which part of the list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityPage {
    /// Rows at the most.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<EntityPlace>,
    /// Newest first.
    pub newest_first: bool,
    /// Entities that a search looks at before it stops where it is; [`LOOKED_AT`] unless there is a reason.
    pub looked_at: usize,
}

impl EntityPage {
    /// The comparison with the place of the page before, and the order's direction, as SQL.
    pub(super) fn direction(&self) -> (&'static str, &'static str) {
        if self.newest_first {
            ("<", "DESC")
        } else {
            (">", "ASC")
        }
    }
}

/// A page of entities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntityList {
    /// Those on it. A search that looked at many without finding enough gives fewer than the limit.
    pub rows: Vec<EntityRow>,
    /// Where the next page begins; none = this is the last one.
    pub next: Option<EntityPlace>,
}

impl EntityList {
    /// The page of `rows`, of which there is one more than the limit where there is another page.
    pub(super) fn of(mut rows: Vec<EntityRow>, limit: usize) -> Self {
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(EntityPlace::from);
        Self { rows, next }
    }
}

/// One page of the entities wanted.
///
/// # Errors
/// When the database cannot be used now.
pub async fn list<C: ConnectionTrait>(
    connection: &C,
    filter: &EntityFilter,
    page: &EntityPage,
) -> Result<EntityList, StoreError> {
    if filter.text.is_some() || !filter.fields.is_empty() {
        return entity_search::search(connection, filter, page).await;
    }
    let (comparison, direction) = page.direction();
    let mut conditions = Conditions::default();
    conditions.equal("workspace", Some(&filter.workspace));
    conditions.equal("entity_type", filter.entity_type.as_deref());
    conditions.add("deleted_at IS NULL", []);
    // The columns of the index that serves it, so that each page begins where the last one ended.
    let order: &[&str] = match filter.entity_type {
        Some(_) => &["first_seen_at", "unique_id"],
        None => &["first_seen_at", "entity_type", "unique_id"],
    };
    if let Some(after) = &page.after {
        let places = vec!["?"; order.len()].join(", ");
        let clause = format!("({}) {comparison} ({places})", order.join(", "));
        let of_type = rows::text(&after.entity_type);
        let values = match filter.entity_type {
            Some(_) => vec![after.first_seen_at.into(), rows::text(&after.unique_id)],
            None => vec![after.first_seen_at.into(), of_type, rows::text(&after.unique_id)],
        };
        conditions.add(&clause, values);
    }
    let limit = conditions.place(rows::number(page.limit + 1));
    let order: Vec<String> = order
        .iter()
        .map(|column| format!("{column} {direction}"))
        .collect();
    let sql = format!(
        "SELECT {COLUMNS} FROM entities WHERE {} ORDER BY {} LIMIT {limit}",
        conditions.text(),
        order.join(", ")
    );
    let found = statement::rows(connection, &sql, conditions.into_values()).await?;
    Ok(EntityList::of(found, page.limit))
}

/// One entity of a workspace, unless it was deleted.
///
/// # Errors
/// When the database cannot be used now.
pub async fn find<C: ConnectionTrait>(
    connection: &C,
    workspace: &str,
    entity_type: &str,
    unique_id: &str,
) -> Result<Option<EntityRow>, StoreError> {
    let found = find_or_tombstone(connection, workspace, entity_type, unique_id).await?;
    Ok(found.filter(|row| row.deleted_at.is_none()))
}

/// One entity of a workspace, also where only its tombstone is left.
///
/// # Errors
/// When the database cannot be used now.
pub async fn find_or_tombstone<C: ConnectionTrait>(
    connection: &C,
    workspace: &str,
    entity_type: &str,
    unique_id: &str,
) -> Result<Option<EntityRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM entities WHERE workspace = $1 AND entity_type = $2 AND unique_id = $3"
    );
    statement::row(connection, &sql, key(workspace, entity_type, unique_id)).await
}

pub(super) fn key(workspace: &str, entity_type: &str, unique_id: &str) -> Vec<Value> {
    vec![
        rows::text(workspace),
        rows::text(entity_type),
        rows::text(unique_id),
    ]
}
