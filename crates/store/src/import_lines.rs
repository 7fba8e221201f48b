//! The lines of imports: in chunks until they are loaded, and those that could not be.

use hookrail_domain::ids::ImportId;
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{StoreError, rows, statement};

/// Failed lines that are kept of one import; all are counted.
pub const KEPT_FAILURES: u64 = 100;

/// Lines that follow one another, each with its line feed.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct ChunkRow {
    /// The number of the first of them, from 1.
    pub first_line: i64,
    /// How many there are.
    pub lines: i64,
    /// Their bytes.
    pub body: Vec<u8>,
}

/// A line that did not become an event.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct FailureRow {
    /// Its number, from 1.
    pub line: i64,
    /// A stable code.
    pub reason: String,
    /// For people.
    pub detail: String,
}

/// Stores a chunk.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn insert<C: ConnectionTrait>(
    connection: &C,
    import: ImportId,
    chunk: ChunkRow,
) -> Result<(), StoreError> {
    let row = vec![
        rows::id(import),
        chunk.first_line.into(),
        chunk.lines.into(),
        chunk.body.into(),
    ];
    rows::insert(
        connection,
        "import_chunks (import, first_line, lines, body)",
        vec![row],
        "",
    )
    .await?;
    Ok(())
}

/// The first chunk that is not loaded yet.
///
/// # Errors
/// When the database cannot be used now.
pub async fn first<C: ConnectionTrait>(
    connection: &C,
    import: ImportId,
) -> Result<Option<ChunkRow>, StoreError> {
    let sql =
        "SELECT first_line, lines, body FROM import_chunks WHERE import = $1 ORDER BY first_line LIMIT 1";
    statement::row(connection, sql, vec![rows::id(import)]).await
}

/// Removes a chunk that was loaded.
///
/// # Errors
/// When the database cannot be used now.
pub async fn delete<C: ConnectionTrait>(
    connection: &C,
    import: ImportId,
    first_line: i64,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM import_chunks WHERE import = $1 AND first_line = $2";
    statement::change(connection, sql, vec![rows::id(import), first_line.into()]).await?;
    Ok(())
}

/// Removes at most `most` chunks of an import that ended before all were loaded; gives how many there were.
///
/// # Errors
/// When the database cannot be used now.
pub async fn sweep<C: ConnectionTrait>(
    connection: &C,
    import: ImportId,
    most: u32,
) -> Result<u64, StoreError> {
    let sql = "DELETE FROM import_chunks WHERE import = $1 AND first_line IN \
               (SELECT first_line FROM import_chunks WHERE import = $1 LIMIT $2)";
    let values = vec![rows::id(import), i64::from(most).into()];
    statement::change(connection, sql, values).await
}

/// Keeps failed lines, as long as there is room for them among the [`KEPT_FAILURES`].
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn keep_failures<C: ConnectionTrait>(
    connection: &C,
    import: ImportId,
    failures: &[FailureRow],
) -> Result<(), StoreError> {
    if failures.is_empty() {
        return Ok(());
    }
    let sql = "SELECT COUNT(*) AS kept FROM import_failures WHERE import = $1";
    let row = statement::first(connection, sql, vec![rows::id(import)]).await?;
    let kept: i64 = row
        .map(|row| statement::column(&row, "kept"))
        .transpose()?
        .unwrap_or_default();
    let room = KEPT_FAILURES.saturating_sub(kept.unsigned_abs());
    let rows = failures
        .iter()
        .take(usize::try_from(room).unwrap_or(usize::MAX))
        .map(|failure| {
            vec![
                rows::id(import),
                failure.line.into(),
                rows::text(&failure.reason),
                rows::text(&failure.detail),
            ]
        })
        .collect();
    let head = "import_failures (import, line, reason, detail)";
    rows::insert(connection, head, rows, "ON CONFLICT (import, line) DO NOTHING").await?;
    Ok(())
}

/// The failed lines that are kept, in their order.
///
/// # Errors
/// When the database cannot be used now.
pub async fn failures<C: ConnectionTrait>(
    connection: &C,
    import: ImportId,
) -> Result<Vec<FailureRow>, StoreError> {
    let sql = "SELECT line, reason, detail FROM import_failures WHERE import = $1 ORDER BY line";
    statement::rows(connection, sql, vec![rows::id(import)]).await
}

/// Forgets the failed lines of an import that was never asked for to its end.
///
/// # Errors
/// When the database cannot be used now.
pub async fn forget_failures<C: ConnectionTrait>(connection: &C, import: ImportId) -> Result<(), StoreError> {
    let sql = "DELETE FROM import_failures WHERE import = $1";
    statement::change(connection, sql, vec![rows::id(import)]).await?;
    Ok(())
}
