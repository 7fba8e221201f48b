//! Imports: what is to be loaded into a source, how far that is, and who works on it. The epoch in each row
//! fences off older owners, as in `replays`; the lines wait in `import_chunks`.

use hookrail_domain::{
    Millis,
    ids::{ImportId, SourceId},
};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use crate::{IdPage, StoreError, rows, statement};

/// Its lines are still being taken in.
pub const UPLOADING: &str = "uploading";
/// Waits for its turn.
pub const QUEUED: &str = "queued";
/// Is being worked on.
pub const RUNNING: &str = "running";
/// All lines were read.
pub const DONE: &str = "done";
/// A person stopped it.
pub const CANCELLED: &str = "cancelled";
/// It could not go on.
pub const FAILED: &str = "failed";

/// An import as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct ImportRow {
    /// Its id.
    pub id: String,
    /// Its workspace.
    pub workspace: String,
    /// The source that its lines are events of.
    pub source: String,
    /// One of the statuses of this module.
    pub status: String,
    /// The revision of the definitions under which it was asked for.
    pub revision: i64,
    /// The job shard that works on it.
    pub shard: i64,
    /// The epoch of the shard's owner that took it.
    pub epoch: i64,
    /// How often it was taken since it last got further.
    pub stalls: i64,
    /// The bytes that were taken in.
    pub bytes: i64,
    /// The lines that were taken in.
    pub lines: i64,
    /// Lines that were read, so far.
    pub lines_read: i64,
    /// Lines that became events.
    pub accepted: i64,
    /// Lines that did not.
    pub failed: i64,
    /// What it waits for at the moment.
    pub waits_for: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// When lines were last taken in, milliseconds.
    pub touched_at: i64,
    /// When it was asked for, milliseconds: when its events were accepted.
    pub created_at: i64,
    /// When it was begun, milliseconds.
    pub started_at: Option<i64>,
    /// When it ended, milliseconds.
    pub finished_at: Option<i64>,
    /// 1 once nothing of it is left to be tidied up.
    pub swept: i64,
}

const COLUMNS: &str = "id, workspace, source, status, revision, shard, epoch, stalls, bytes, lines, lines_read, \
     accepted, failed, waits_for, error, touched_at, created_at, started_at, finished_at, swept";

/// An import that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct NewImport<'a> {
    /// Its id.
    pub id: ImportId,
    /// Its workspace.
    pub workspace: &'a str,
    /// The source that its lines are events of.
    pub source: SourceId,
    /// The revision of the source.
    pub revision: i64,
    /// The job shard that works on it.
    pub shard: u32,
    /// Now.
    pub at: Millis,
}

/// Stores an import whose lines are about to be taken in.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn begin<C: ConnectionTrait>(connection: &C, new: &NewImport<'_>) -> Result<(), StoreError> {
    let none = || Value::String(None);
    let values = vec![
        rows::id(new.id),
        rows::text(new.workspace),
        rows::id(new.source),
        UPLOADING.into(),
        new.revision.into(),
        rows::number(new.shard),
        0_i64.into(),
        0_i64.into(),
        0_i64.into(),
        0_i64.into(),
        0_i64.into(),
        0_i64.into(),
        0_i64.into(),
        none(),
        none(),
        new.at.into(),
        new.at.into(),
        Value::BigInt(None),
        Value::BigInt(None),
        0_i64.into(),
    ];
    rows::insert(connection, &format!("imports ({COLUMNS})"), vec![values], "").await?;
    Ok(())
}

/// What was taken in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TakenIn {
    /// Bytes.
    pub bytes: u64,
    /// Lines, with those that failed.
    pub lines: u64,
    /// Lines that were refused already.
    pub failed: u64,
}

/// Notes what was taken in, in the transaction that stores it. `false`: it was given up meanwhile.
///
/// # Errors
/// When the database cannot be used now.
pub async fn take_in<C: ConnectionTrait>(
    connection: &C,
    id: ImportId,
    taken: TakenIn,
    now: Millis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE imports SET bytes = bytes + $1, lines = lines + $2, failed = failed + $3, touched_at = $4 \
               WHERE id = $5 AND status = 'uploading'";
    let values = vec![
        rows::number(taken.bytes),
        rows::number(taken.lines),
        rows::number(taken.failed),
        now.into(),
        rows::id(id),
    ];
    Ok(statement::change(connection, sql, values).await? == 1)
}

/// All lines were taken in: it waits for its turn. `false`: it was given up meanwhile.
///
/// # Errors
/// When the database cannot be used now.
pub async fn queue<C: ConnectionTrait>(connection: &C, id: ImportId) -> Result<bool, StoreError> {
    let sql = "UPDATE imports SET status = 'queued' WHERE id = $1 AND status = 'uploading'";
    Ok(statement::change(connection, sql, vec![rows::id(id)]).await? == 1)
}

/// Whether an import's lines are still being taken in.
///
/// # Errors
/// When the database cannot be used now.
pub async fn is_uploading<C: ConnectionTrait>(connection: &C, id: ImportId) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM imports WHERE id = $1 AND status = 'uploading'";
    Ok(statement::first(connection, sql, vec![rows::id(id)])
        .await?
        .is_some())
}

/// Removes the row of an import that was never asked for to its end. Its chunks are removed first.
///
/// # Errors
/// When the database cannot be used now.
pub async fn forget<C: ConnectionTrait>(connection: &C, id: ImportId) -> Result<(), StoreError> {
    let sql = "DELETE FROM imports WHERE id = $1 AND status = 'uploading'";
    statement::change(connection, sql, vec![rows::id(id)]).await?;
    Ok(())
}

/// Gives up uploads that nothing was added to since `before`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn give_up_uploads<C: ConnectionTrait>(
    connection: &C,
    shard: u32,
    before: Millis,
    now: Millis,
) -> Result<u64, StoreError> {
    let sql = "UPDATE imports SET status = 'failed', error = $1, finished_at = $2 \
               WHERE shard = $3 AND swept = 0 AND status = 'uploading' AND touched_at < $4";
    let reason = "its lines broke off before the last of them was taken in";
    let values = vec![reason.into(), now.into(), rows::number(shard), before.into()];
    statement::change(connection, sql, values).await
}

/// How many imports of a workspace have not ended.
///
/// # Errors
/// When the database cannot be used now.
pub async fn count_open<C: ConnectionTrait>(connection: &C, workspace: &str) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) AS open FROM imports \
               WHERE workspace = $1 AND swept = 0 AND status IN ('uploading', 'queued', 'running')";
    let row = statement::first(connection, sql, vec![rows::text(workspace)]).await?;
    let open: i64 = row
        .map(|row| statement::column(&row, "open"))
        .transpose()?
        .unwrap_or_default();
    Ok(open.unsigned_abs())
}

/// One page of a workspace's imports.
///
/// # Errors
/// When the database cannot be used now.
pub async fn list<C: ConnectionTrait>(
    connection: &C,
    workspace: &str,
    page: &IdPage,
) -> Result<Vec<ImportRow>, StoreError> {
    let (comparison, direction) = page.direction();
    let sql = format!(
        "SELECT {COLUMNS} FROM imports WHERE workspace = $1 AND id {comparison} $2 ORDER BY id {direction} LIMIT $3"
    );
    let values = vec![rows::text(workspace), page.bound().into(), page.limit().into()];
    statement::rows(connection, &sql, values).await
}

/// An import of a workspace.
///
/// # Errors
/// When the database cannot be used now.
pub async fn find<C: ConnectionTrait>(
    connection: &C,
    workspace: &str,
    id: ImportId,
) -> Result<Option<ImportRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM imports WHERE id = $1 AND workspace = $2");
    let found = statement::rows(connection, &sql, vec![rows::id(id), rows::text(workspace)]).await?;
    Ok(found.into_iter().next())
}

/// Stops an import that has not ended. `false`: it has.
///
/// # Errors
/// When the database cannot be used now.
pub async fn cancel<C: ConnectionTrait>(
    connection: &C,
    workspace: &str,
    id: ImportId,
    now: Millis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE imports SET status = 'cancelled', waits_for = NULL, finished_at = $1 \
               WHERE id = $2 AND workspace = $3 AND status IN ('uploading', 'queued', 'running')";
    let values = vec![now.into(), rows::id(id), rows::text(workspace)];
    Ok(statement::change(connection, sql, values).await? == 1)
}

/// The oldest imports of a job shard that want something done, at most `most`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn open<C: ConnectionTrait>(
    connection: &C,
    shard: u32,
    most: u32,
) -> Result<Vec<ImportRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM imports WHERE shard = $1 AND swept = 0 AND status <> 'uploading' \
         ORDER BY id LIMIT $2"
    );
    let values = vec![rows::number(shard), i64::from(most).into()];
    statement::rows(connection, &sql, values).await
}

/// Takes an import for the owner with `epoch`. `false`: a newer one has it, or it has ended.
///
/// # Errors
/// When the database cannot be used now.
pub async fn take<C: ConnectionTrait>(
    connection: &C,
    id: ImportId,
    epoch: u64,
    now: Millis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE imports SET stalls = stalls + CASE WHEN epoch < $1 THEN 1 ELSE 0 END, epoch = $1, \
               status = 'running', started_at = COALESCE(started_at, $2) \
               WHERE id = $3 AND epoch <= $4 AND status IN ('queued', 'running')";
    let values = vec![rows::number(epoch), now.into(), rows::id(id), rows::number(epoch)];
    Ok(statement::change(connection, sql, values).await? == 1)
}

/// Notes what an import waits for: that is no stall.
///
/// # Errors
/// When the database cannot be used now.
pub async fn waits<C: ConnectionTrait>(
    connection: &C,
    id: ImportId,
    epoch: u64,
    what: &str,
) -> Result<(), StoreError> {
    let sql =
        "UPDATE imports SET stalls = 0, waits_for = $1 WHERE id = $2 AND epoch = $3 AND status = 'running'";
    let values = vec![rows::text(what), rows::id(id), rows::number(epoch)];
    statement::change(connection, sql, values).await?;
    Ok(())
}

/// What was done of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Lines read.
    pub lines: u64,
    /// Lines that became events.
    pub accepted: u64,
    /// Lines that did not.
    pub failed: u64,
}

/// Moves an import on, in the transaction that removes its chunk. It counts what was loaded although it was
/// cancelled meanwhile. `false`: another owner has it.
///
/// # Errors
/// When the database cannot be used now.
pub async fn advance<C: ConnectionTrait>(
    connection: &C,
    id: ImportId,
    epoch: u64,
    progress: Progress,
) -> Result<bool, StoreError> {
    let sql = "UPDATE imports SET lines_read = lines_read + $1, accepted = accepted + $2, failed = failed + $3, \
               stalls = 0, waits_for = NULL WHERE id = $4 AND epoch = $5";
    let values = vec![
        rows::number(progress.lines),
        rows::number(progress.accepted),
        rows::number(progress.failed),
        rows::id(id),
        rows::number(epoch),
    ];
    Ok(statement::change(connection, sql, values).await? == 1)
}

/// Ends an import, unless it was cancelled or another owner has it.
///
/// # Errors
/// When the database cannot be used now.
pub async fn finish<C: ConnectionTrait>(
    connection: &C,
    id: ImportId,
    epoch: u64,
    error: Option<&str>,
    now: Millis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE imports SET status = $1, error = $2, waits_for = NULL, finished_at = $3 \
               WHERE id = $4 AND epoch = $5 AND status = 'running'";
    let status = if error.is_some() { FAILED } else { DONE };
    let values = vec![
        status.into(),
        rows::text_or_null(error),
        now.into(),
        rows::id(id),
        rows::number(epoch),
    ];
    Ok(statement::change(connection, sql, values).await? == 1)
}

/// Notes that nothing of an ended import is left to be tidied up.
///
/// # Errors
/// When the database cannot be used now.
pub async fn swept<C: ConnectionTrait>(connection: &C, id: ImportId) -> Result<(), StoreError> {
    let sql =
        "UPDATE imports SET swept = 1 WHERE id = $1 AND status NOT IN ('uploading', 'queued', 'running')";
    statement::change(connection, sql, vec![rows::id(id)]).await?;
    Ok(())
}
