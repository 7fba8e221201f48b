//! What is wrong with a source's rules, as its events show: the latest event for each rule, until a
//! later event is fine with it or the definition changes.

use std::collections::BTreeMap;

use hookrail_domain::{
    Millis,
    ids::{EventId, SourceId},
};
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{StoreError, rows, statement};

/// Which rule of which source a warning is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WarningKey {
    /// The source.
    pub source: SourceId,
    /// The stable code.
    pub code: &'static str,
    /// The rule: `title`, `fields.<name>`, `ordering_key`, …
    pub field: String,
}

/// What an event says of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The rule did not work.
    Wrong {
        /// The rule's path.
        path: String,
        /// The event.
        event: EventId,
        /// When it was accepted.
        at: Millis,
    },
    /// The rule worked.
    Fine {
        /// When the event was accepted.
        at: Millis,
    },
}

/// A warning as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct WarningRow {
    /// The stable code.
    pub code: String,
    /// The rule.
    pub field: String,
    /// The rule's path.
    pub path: String,
    /// The latest event.
    pub event: String,
    /// When it was accepted, milliseconds.
    pub at: i64,
}

/// Stores the latest finding of each rule: a warning where it is wrong, none where it is fine. What an
/// event says that was accepted before the one that a warning is of, changes nothing: events of
/// different partitions come here in any order. How many there may be is bounded by the rules of a definition.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn write<C: ConnectionTrait>(
    connection: &C,
    findings: &BTreeMap<WarningKey, Finding>,
) -> Result<(), StoreError> {
    let mut fine = Vec::new();
    let mut wrong = Vec::new();
    for (key, finding) in findings {
        let mut row = vec![rows::id(key.source), rows::text(key.code), rows::text(&key.field)];
        match finding {
            Finding::Fine { at } => {
                row.push((*at).into());
                fine.push(row);
            }
            Finding::Wrong { path, event, at } => {
                row.extend([rows::text(path), rows::id(event), (*at).into()]);
                wrong.push(row);
            }
        }
    }
    for (tuples, values) in rows::chunks(fine) {
        let sql = format!(
            "WITH fine (source, code, field, at) AS (VALUES {tuples}) DELETE FROM source_warnings WHERE EXISTS \
             (SELECT 1 FROM fine WHERE fine.source = source_warnings.source AND fine.code = source_warnings.code \
             AND fine.field = source_warnings.field AND fine.at >= source_warnings.at)"
        );
        statement::change(connection, &sql, values).await?;
    }
    let tail = "ON CONFLICT (source, code, field) DO UPDATE SET \
                path = excluded.path, event = excluded.event, at = excluded.at \
                WHERE source_warnings.at <= excluded.at";
    rows::insert(
        connection,
        "source_warnings (source, code, field, path, event, at)",
        wrong,
        tail,
    )
    .await?;
    Ok(())
}

/// Removes all warnings of a source: its definition changed.
///
/// # Errors
/// When the database cannot be used now.
pub async fn clear<C: ConnectionTrait>(connection: &C, source: SourceId) -> Result<u64, StoreError> {
    statement::change(
        connection,
        "DELETE FROM source_warnings WHERE source = $1",
        vec![rows::id(source)],
    )
    .await
}

/// The warnings of a source, by code and field.
///
/// # Errors
/// When the database cannot be used now.
pub async fn of_source<C: ConnectionTrait>(
    connection: &C,
    source: SourceId,
) -> Result<Vec<WarningRow>, StoreError> {
    let sql =
        "SELECT code, field, path, event, at FROM source_warnings WHERE source = $1 ORDER BY code, field";
    statement::rows(connection, sql, vec![rows::id(source)]).await
}
