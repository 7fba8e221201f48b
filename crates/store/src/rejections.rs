//! Refused requests: the last ones of each source, for its owner to see what is wrong.

use std::collections::BTreeSet;

use hookrail_domain::{ids::SourceId, journal::RejectionRecord};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use crate::{StoreError, attempts::pairs, rows, statement};

/// Refused requests kept of each source.
pub const KEPT: u64 = 100;

/// A refused request as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct RejectionRow {
    /// The source.
    pub source: String,
    /// The journal's sequence of the record, which tells one from a repetition of it.
    pub journal_sequence: i64,
    /// The source's workspace.
    pub workspace: String,
    /// When, milliseconds.
    pub at: i64,
    /// The stable cause.
    pub code: String,
    /// What the check that failed said.
    pub detail: String,
    /// The sender's address.
    pub remote_addr: Option<String>,
    /// The request's method.
    pub method: String,
    /// The request's headers: a JSON array of pairs.
    pub headers: String,
}

/// The columns of a [`RejectionRow`].
pub const COLUMNS: &str =
    "source, journal_sequence, workspace, at, code, detail, remote_addr, method, headers";

/// Stores refused requests, each with its sequence in the journal, and drops all but the newest
/// [`KEPT`] of their sources.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn insert<C: ConnectionTrait>(
    connection: &C,
    records: &[(u64, &RejectionRecord)],
) -> Result<(), StoreError> {
    let rows = records
        .iter()
        .map(|(sequence, record)| row(*sequence, record))
        .collect();
    let tail = "ON CONFLICT (source, journal_sequence) DO NOTHING";
    rows::insert(connection, &format!("rejections ({COLUMNS})"), rows, tail).await?;
    let sources: BTreeSet<SourceId> = records.iter().map(|(_, record)| record.source).collect();
    for source in sources {
        trim(connection, source).await?;
    }
    Ok(())
}

/// The newest first.
///
/// # Errors
/// When the database cannot be used now.
pub async fn of_source<C: ConnectionTrait>(
    connection: &C,
    source: SourceId,
) -> Result<Vec<RejectionRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM rejections WHERE source = $1 ORDER BY at DESC, journal_sequence DESC LIMIT {KEPT}"
    );
    statement::rows(connection, &sql, vec![rows::id(source)]).await
}

async fn trim<C: ConnectionTrait>(connection: &C, source: SourceId) -> Result<u64, StoreError> {
    let sql = format!(
        "DELETE FROM rejections WHERE source = $1 AND (at, journal_sequence) <= \
         (SELECT at, journal_sequence FROM rejections WHERE source = $2 \
          ORDER BY at DESC, journal_sequence DESC LIMIT 1 OFFSET {KEPT})"
    );
    statement::change(connection, &sql, vec![rows::id(source), rows::id(source)]).await
}

fn row(sequence: u64, record: &RejectionRecord) -> Vec<Value> {
    vec![
        rows::id(record.source),
        rows::number(sequence),
        rows::id(record.workspace),
        record.at.into(),
        rows::text(&record.code),
        rows::text(&record.detail),
        rows::text_or_null(record.remote_addr.as_ref()),
        rows::text(&record.method),
        pairs(&record.headers),
    ]
}
