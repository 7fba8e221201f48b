//! Entities as people look for them, the newest first by when they were first seen.

use hookrail_domain::Millis;
use hookrail_domain::json::Json;
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use super::conditions::{Conditions, anywhere};
use crate::entities::{COLUMNS, EntityRow};
use crate::{StoreError, rows, statement};

/// Rounds of one list in which rows that only look like the wanted ones are left out.
const MAX_ROUNDS: usize = 50;

/// Which entities are wanted; all that is given has to hold.
#[derive(Debug, Clone, Default)]
pub struct EntityFilter {
    /// Of this workspace.
    pub workspace: String,
    /// Of this type.
    pub entity_type: Option<String>,
    /// With this in their title, or this unique id.
    pub text: Option<String>,
    /// With these values in their fields: a string, or the JSON text of another scalar.
    pub fields: Vec<(String, String)>,
}

/// Where an entity stands in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub limit: u64,
    /// The last one of the page before.
    pub after: Option<EntityPlace>,
    /// Newest first.
    pub newest_first: bool,
}

/// One page of the entities wanted.
///
/// # Errors
/// When the database cannot be used now.
pub async fn list<C: ConnectionTrait>(
    connection: &C,
    filter: &EntityFilter,
    page: &EntityPage,
) -> Result<Vec<EntityRow>, StoreError> {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let mut page = page.clone();
    let mut found = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let rows = read(connection, filter, &page).await?;
        let is_last = rows.len() < limit;
        page.after = rows.last().map(EntityPlace::from);
        found.extend(rows.into_iter().filter(|row| has_fields(row, &filter.fields)));
        if is_last || found.len() >= limit {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// One entity of a workspace.
///
/// # Errors
/// When the database cannot be used now.
pub async fn find<C: ConnectionTrait>(
    connection: &C,
    workspace: &str,
    entity_type: &str,
    unique_id: &str,
) -> Result<Option<EntityRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM entities WHERE workspace = $1 AND entity_type = $2 AND unique_id = $3"
    );
    let row = statement::first(connection, &sql, key(workspace, entity_type, unique_id)).await?;
    Ok(row
        .map(|row| EntityRow::from_query_result(&row, ""))
        .transpose()?)
}

/// Deletes an entity; `false` where there was none.
///
/// # Errors
/// When the database cannot be used now.
pub async fn delete<C: ConnectionTrait>(
    connection: &C,
    workspace: &str,
    entity_type: &str,
    unique_id: &str,
) -> Result<bool, StoreError> {
    let sql = "DELETE FROM entities WHERE workspace = $1 AND entity_type = $2 AND unique_id = $3";
    Ok(statement::change(connection, sql, key(workspace, entity_type, unique_id)).await? > 0)
}

fn key(workspace: &str, entity_type: &str, unique_id: &str) -> Vec<Value> {
    vec![
        rows::text(workspace),
        rows::text(entity_type),
        rows::text(unique_id),
    ]
}

async fn read<C: ConnectionTrait>(
    connection: &C,
    filter: &EntityFilter,
    page: &EntityPage,
) -> Result<Vec<EntityRow>, StoreError> {
    let mut conditions = Conditions::default();
    conditions.equal("workspace", Some(&filter.workspace));
    conditions.equal("entity_type", filter.entity_type.as_deref());
    if let Some(text) = &filter.text {
        let title = rows::text(anywhere(&text.to_lowercase()));
        conditions.add(
            "(unique_id = ? OR LOWER(title) LIKE ? ESCAPE '!')",
            [rows::text(text), title],
        );
    }
    for (name, value) in &filter.fields {
        let [as_string, as_is] = field_patterns(name, value);
        let clause = "(fields LIKE ? ESCAPE '!' OR fields LIKE ? ESCAPE '!')";
        conditions.add(clause, [as_string.into(), as_is.into()]);
    }
    let (comparison, direction) = if page.newest_first {
        ("<", "DESC")
    } else {
        (">", "ASC")
    };
    if let Some(after) = &page.after {
        let place = [
            after.first_seen_at.into(),
            rows::text(&after.entity_type),
            rows::text(&after.unique_id),
        ];
        conditions.add(
            &format!("(first_seen_at, entity_type, unique_id) {comparison} (?, ?, ?)"),
            place,
        );
    }
    let limit = conditions.place(i64::try_from(page.limit).unwrap_or(i64::MAX).into());
    let sql = format!(
        "SELECT {COLUMNS} FROM entities WHERE {} \
         ORDER BY first_seen_at {direction}, entity_type {direction}, unique_id {direction} LIMIT {limit}",
        conditions.text()
    );
    let rows = statement::all(connection, &sql, conditions.into_values()).await?;
    rows.iter()
        .map(|row| Ok(EntityRow::from_query_result(row, "")?))
        .collect()
}

/// What the stored text of the fields has in it where one of them has this value. It may look so
/// elsewhere too, inside of another field: [`has_fields`] tells.
fn field_patterns(name: &str, value: &str) -> [String; 2] {
    let member = |value: &str| anywhere(&format!("{}:{value}", Json::from(name)));
    [member(&Json::from(value).to_compact_string()), member(value)]
}

fn has_fields(row: &EntityRow, wanted: &[(String, String)]) -> bool {
    if wanted.is_empty() {
        return true;
    }
    let fields = row.fields.parse::<Json>().unwrap_or_default();
    wanted
        .iter()
        .all(|(name, value)| fields.get(name).is_some_and(|field| field.bare_text() == *value))
}
