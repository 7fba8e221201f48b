//! Trimming the journal: what was settled long ago goes, in pages by id.
//!
//! A page is looked at through a reader; only what may go is removed, in a transaction of its own, which
//! checks again. So nobody that writes waits for the looking, however much of what is old has to stay.
//! Ids carry times, so a bound of an id is one of time. How long what is kept is not decided here.

pub mod deliveries;
pub mod events;
pub mod leftovers;
pub mod workspaces;

use hookrail_domain::{Millis, ids::SourceId};
use sea_orm::{ConnectionTrait, Value};

use crate::queries::conditions::Conditions;
use crate::{StoreError, rows, statement};

/// Whose rows are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// All.
    Any,
    /// Those of a source; none = those that were posted, or are Hookrail's own.
    Source(Option<SourceId>),
}

/// A page of rows to look at, by id.
#[derive(Debug, Clone)]
pub struct Page {
    /// Whose.
    pub owner: Owner,
    /// Behind this id; none = from the beginning.
    pub after: Option<String>,
    /// Before this id.
    pub end: String,
    /// What was settled before may go.
    pub settled_before: Millis,
    /// Rows at the most.
    pub most: u32,
}

/// What was seen on a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The rows that may go.
    pub may_go: Vec<String>,
    /// How many rows there were.
    pub rows: u32,
    /// The last of them; none = there was nothing.
    pub last: Option<String>,
}

/// When something may go: a clause, and its values.
type Rule = (&'static str, Vec<Value>);

/// The rows of a page of `table`, each with whether `rule` holds for it.
async fn look<C: ConnectionTrait>(
    connection: &C,
    table: &str,
    page: &Page,
    mut conditions: Conditions,
    rule: Rule,
) -> Result<Seen, StoreError> {
    match page.owner {
        Owner::Any => {}
        Owner::Source(None) => conditions.add("source IS NULL", []),
        Owner::Source(Some(source)) => conditions.add("source = ?", [rows::id(source)]),
    }
    let after = page.after.clone().unwrap_or_default();
    conditions.add("id > ? AND id < ?", [after.into(), page.end.as_str().into()]);
    let may_go = conditions.numbered(rule.0, rule.1);
    let most = conditions.place(i64::from(page.most).into());
    let sql = format!(
        "SELECT id, CAST(CASE WHEN {may_go} THEN 1 ELSE 0 END AS BIGINT) AS may_go FROM {table} \
         WHERE {} ORDER BY id LIMIT {most}",
        conditions.text()
    );
    let mut seen = Seen::default();
    for row in statement::all(connection, &sql, conditions.into_values()).await? {
        let id: String = statement::column(&row, "id")?;
        if statement::column::<i64>(&row, "may_go")? == 1 {
            seen.may_go.push(id.clone());
        }
        seen.rows += 1;
        seen.last = Some(id);
    }
    Ok(seen)
}

/// Removes those of these rows of `table` for which `rule` holds; gives their ids.
async fn remove<C: ConnectionTrait>(
    connection: &C,
    table: &str,
    ids: &[String],
    rule: Rule,
) -> Result<Vec<String>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut conditions = Conditions::default();
    let places = vec!["?"; ids.len()].join(", ");
    conditions.add(&format!("id IN ({places})"), ids.iter().map(rows::text));
    conditions.add(rule.0, rule.1);
    let sql = format!("DELETE FROM {table} WHERE {} RETURNING id", conditions.text());
    let removed = statement::all(connection, &sql, conditions.into_values()).await?;
    removed.iter().map(|row| statement::column(row, "id")).collect()
}

/// Removes the rows of `table` whose `column` is one of `ids`; gives how many there were.
async fn remove_of<C: ConnectionTrait>(
    connection: &C,
    table: &str,
    column: &str,
    ids: &[String],
) -> Result<u64, StoreError> {
    if ids.is_empty() {
        return Ok(0);
    }
    let places = rows::places(1, ids.len());
    let sql = format!("DELETE FROM {table} WHERE {column} IN ({places})");
    statement::change(connection, &sql, ids.iter().map(rows::text).collect()).await
}

/// The first source after `after`, by id, that `table` has rows of: one look into an index.
async fn next_source<C: ConnectionTrait>(
    connection: &C,
    table: &'static str,
    after: Option<SourceId>,
) -> Result<Option<SourceId>, StoreError> {
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let sql = format!("SELECT MIN(source) AS source FROM {table} WHERE source > $1");
    let row = statement::first(connection, &sql, vec![after.into()]).await?;
    let found: Option<String> = row
        .map(|row| statement::column(&row, "source"))
        .transpose()?
        .flatten();
    let read = |id: String| {
        id.parse().map_err(|_| StoreError::Unreadable {
            table,
            row: id,
            reason: "its source has no id".to_owned(),
        })
    };
    found.map(read).transpose()
}
