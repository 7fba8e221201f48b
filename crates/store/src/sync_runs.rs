//! Runs of syncs: how far each is, what it came to, and who works on it. The epoch in each row fences off older
//! owners, as in `replays`.

use hookrail_domain::{
    Millis,
    ids::{RunId, SyncId},
    sync::decide::Operation,
};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use crate::{IdPage, StoreError, rows, statement};

/// Waits for its turn.
pub const QUEUED: &str = "queued";
/// Its rows are being read.
pub const RUNNING: &str = "running";
/// All rows were read; deliveries are on their way.
pub const DELIVERING: &str = "delivering";
/// All deliveries have ended.
pub const DONE: &str = "done";
/// A person stopped it.
pub const CANCELLED: &str = "cancelled";
/// It could not go on.
pub const FAILED: &str = "failed";

/// Runs of a sync that are kept.
const RUNS_KEPT: u32 = 500;
/// Bytes of what is told of the first row that made no record.
const MAX_FAILURE_BYTES: usize = 1024;

/// A run as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct RunRow {
    /// Its id.
    pub id: String,
    /// Its workspace.
    pub workspace: String,
    /// The sync.
    pub sync: String,
    /// `schedule` or `request`.
    pub started_by: String,
    /// The sync's definition when it was asked for, as JSON.
    pub definition: String,
    /// The revision of that.
    pub revision: i64,
    /// The job shard that works on it.
    pub shard: i64,
    /// One of the statuses of this module.
    pub status: String,
    /// The epoch of the shard's owner that took it.
    pub epoch: i64,
    /// How often it was taken since it last got further.
    pub stalls: i64,
    /// The key up to which rows were gone through.
    pub last_key: Option<String>,
    /// Rows read.
    pub rows_read: i64,
    /// Rows of which there was nothing to send.
    pub unchanged: i64,
    /// Rows that were remembered and not sent.
    pub learned: i64,
    /// Rows whose last delivery was still on its way.
    pub waiting: i64,
    /// Rows that made no record.
    pub failed: i64,
    /// Why the first of them did not.
    pub failure: Option<String>,
    /// Deliveries that have not ended.
    pub pending: i64,
    /// Rows sent.
    pub writes: i64,
    /// Of these, delivered.
    pub writes_delivered: i64,
    /// Of these, dead.
    pub writes_dead: i64,
    /// Of these, cancelled.
    pub writes_cancelled: i64,
    /// Deletions sent.
    pub deletes: i64,
    /// Of these, delivered.
    pub deletes_delivered: i64,
    /// Of these, dead.
    pub deletes_dead: i64,
    /// Of these, cancelled.
    pub deletes_cancelled: i64,
    /// What it waits for at the moment.
    pub waits_for: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was asked for, milliseconds.
    pub created_at: i64,
    /// When it was begun, milliseconds.
    pub started_at: Option<i64>,
    /// When it ended, milliseconds.
    pub finished_at: Option<i64>,
}

const COLUMNS: &str = "id, workspace, sync, started_by, definition, revision, shard, status, epoch, stalls, last_key, \
     rows_read, unchanged, learned, waiting, failed, failure, pending, writes, writes_delivered, writes_dead, \
     writes_cancelled, deletes, deletes_delivered, deletes_dead, deletes_cancelled, waits_for, error, created_at, \
     started_at, finished_at";

/// A run that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct NewRun<'a> {
    /// Its id.
    pub id: RunId,
    /// Its workspace.
    pub workspace: &'a str,
    /// The sync.
    pub sync: SyncId,
    /// `schedule` or `request`.
    pub started_by: &'a str,
    /// The sync's definition as it is, JSON.
    pub definition: &'a str,
    /// The revision of that.
    pub revision: i64,
    /// The job shard that works on it.
    pub shard: u32,
    /// Now.
    pub at: Millis,
}

/// Stores a run, and forgets the oldest ones, unless the sync has an open one: `false`.
///
/// # Errors
/// When the database refuses the data or cannot be used now; [`StoreError::is_unique_violation`] where another one
/// was opened at the same moment.
pub async fn begin<C: ConnectionTrait>(connection: &C, new: &NewRun<'_>) -> Result<bool, StoreError> {
    let open = "SELECT id FROM sync_runs WHERE sync = $1 AND status IN ('queued', 'running')";
    if statement::first(connection, open, vec![rows::id(new.sync)])
        .await?
        .is_some()
    {
        return Ok(false);
    }
    let columns = "id, workspace, sync, started_by, definition, revision, shard, status, created_at, epoch, stalls, \
         rows_read, unchanged, learned, waiting, failed, pending, writes, writes_delivered, writes_dead, \
         writes_cancelled, deletes, deletes_delivered, deletes_dead, deletes_cancelled";
    let mut values = vec![
        rows::id(new.id),
        rows::text(new.workspace),
        rows::id(new.sync),
        rows::text(new.started_by),
        new.definition.into(),
        new.revision.into(),
        rows::number(new.shard),
        QUEUED.into(),
        new.at.into(),
    ];
    let counts = columns.split(',').count() - values.len();
    values.extend(std::iter::repeat_n(Value::from(0_i64), counts));
    rows::insert(connection, &format!("sync_runs ({columns})"), vec![values], "").await?;
    forget_old(connection, new.sync, RUNS_KEPT).await?;
    Ok(true)
}

/// One page of a sync's runs.
///
/// # Errors
/// When the database cannot be used now.
pub async fn list<C: ConnectionTrait>(
    connection: &C,
    sync: &str,
    page: &IdPage,
) -> Result<Vec<RunRow>, StoreError> {
    let (comparison, direction) = page.direction();
    let sql = format!(
        "SELECT {COLUMNS} FROM sync_runs WHERE sync = $1 AND id {comparison} $2 ORDER BY id {direction} LIMIT $3"
    );
    let values = vec![rows::text(sync), page.bound().into(), page.limit().into()];
    statement::rows(connection, &sql, values).await
}

/// A run of a workspace.
///
/// # Errors
/// When the database cannot be used now.
pub async fn find<C: ConnectionTrait>(
    connection: &C,
    workspace: &str,
    id: RunId,
) -> Result<Option<RunRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM sync_runs WHERE id = $1 AND workspace = $2");
    let found = statement::rows(connection, &sql, vec![rows::id(id), rows::text(workspace)]).await?;
    Ok(found.into_iter().next())
}

/// Stops a run whose rows are not all read. `false`: there is nothing to stop.
///
/// # Errors
/// When the database cannot be used now.
pub async fn cancel<C: ConnectionTrait>(
    connection: &C,
    workspace: &str,
    id: RunId,
    now: Millis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE sync_runs SET status = 'cancelled', waits_for = NULL, finished_at = $1 \
               WHERE id = $2 AND workspace = $3 AND status IN ('queued', 'running')";
    let values = vec![now.into(), rows::id(id), rows::text(workspace)];
    Ok(statement::change(connection, sql, values).await? == 1)
}

/// The oldest runs of a job shard whose rows are not all read, at most `most`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn open<C: ConnectionTrait>(
    connection: &C,
    shard: u32,
    most: u32,
) -> Result<Vec<RunRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM sync_runs WHERE shard = $1 AND status IN ('queued', 'running') ORDER BY id LIMIT $2"
    );
    statement::rows(
        connection,
        &sql,
        vec![rows::number(shard), i64::from(most).into()],
    )
    .await
}

/// The runs of a job shard with deliveries that have not ended, at most `most`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn pending<C: ConnectionTrait>(
    connection: &C,
    shard: u32,
    most: u32,
) -> Result<Vec<RunRow>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM sync_runs WHERE shard = $1 AND pending > 0 ORDER BY id LIMIT $2");
    statement::rows(
        connection,
        &sql,
        vec![rows::number(shard), i64::from(most).into()],
    )
    .await
}

/// Takes a run for the owner with `epoch`. `false`: a newer one has it, or it has ended.
///
/// # Errors
/// When the database cannot be used now.
pub async fn take<C: ConnectionTrait>(
    connection: &C,
    id: RunId,
    epoch: u64,
    now: Millis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE sync_runs SET stalls = stalls + CASE WHEN epoch < $1 THEN 1 ELSE 0 END, epoch = $1, \
               status = 'running', started_at = COALESCE(started_at, $2) \
               WHERE id = $3 AND epoch <= $4 AND status IN ('queued', 'running')";
    let values = vec![rows::number(epoch), now.into(), rows::id(id), rows::number(epoch)];
    Ok(statement::change(connection, sql, values).await? == 1)
}

/// Notes what a run waits for: that is no stall.
///
/// # Errors
/// When the database cannot be used now.
pub async fn waits<C: ConnectionTrait>(
    connection: &C,
    id: RunId,
    epoch: u64,
    what: &str,
) -> Result<(), StoreError> {
    let sql =
        "UPDATE sync_runs SET stalls = 0, waits_for = $1 WHERE id = $2 AND epoch = $3 AND status = 'running'";
    let values = vec![rows::text(what), rows::id(id), rows::number(epoch)];
    statement::change(connection, sql, values).await?;
    Ok(())
}

/// What a page of a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The key up to which rows were gone through.
    pub last_key: Option<String>,
    /// Rows read.
    pub rows_read: u64,
    /// Rows of which there was nothing to send.
    pub unchanged: u64,
    /// Rows that were remembered and not sent.
    pub learned: u64,
    /// Rows whose last delivery was still on its way.
    pub waiting: u64,
    /// Rows that made no record.
    pub failed: u64,
    /// Why the first of them did not.
    pub failure: Option<String>,
    /// Rows sent.
    pub writes: u64,
    /// Deletions sent.
    pub deletes: u64,
}

/// Moves a run on, in the transaction that stores what it sends. `false`: another owner has it, or it has ended.
///
/// # Errors
/// When the database cannot be used now.
pub async fn advance<C: ConnectionTrait>(
    connection: &C,
    id: RunId,
    epoch: u64,
    progress: &Progress,
) -> Result<bool, StoreError> {
    let sql = "UPDATE sync_runs SET last_key = COALESCE($1, last_key), rows_read = rows_read + $2, \
               unchanged = unchanged + $3, learned = learned + $4, waiting = waiting + $5, failed = failed + $6, \
               failure = COALESCE(failure, $7), writes = writes + $8, deletes = deletes + $9, \
               pending = pending + $10, stalls = 0, waits_for = NULL \
               WHERE id = $11 AND epoch = $12 AND status = 'running'";
    let failure = progress.failure.as_deref().map(shortened);
    let values = vec![
        rows::text_or_null(progress.last_key.as_ref()),
        rows::number(progress.rows_read),
        rows::number(progress.unchanged),
        rows::number(progress.learned),
        rows::number(progress.waiting),
        rows::number(progress.failed),
        rows::text_or_null(failure),
        rows::number(progress.writes),
        rows::number(progress.deletes),
        rows::number(progress.writes + progress.deletes),
        rows::id(id),
        rows::number(epoch),
    ];
    Ok(statement::change(connection, sql, values).await? == 1)
}

fn shortened(text: &str) -> &str {
    let end = (0..=text.len().min(MAX_FAILURE_BYTES))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// All rows were read.
///
/// # Errors
/// When the database cannot be used now.
pub async fn read_all<C: ConnectionTrait>(
    connection: &C,
    id: RunId,
    epoch: u64,
    now: Millis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE sync_runs SET status = 'delivering', waits_for = NULL \
               WHERE id = $1 AND epoch = $2 AND status = 'running'";
    let is_ours = statement::change(connection, sql, vec![rows::id(id), rows::number(epoch)]).await? == 1;
    end_delivered(connection, id, now).await?;
    Ok(is_ours)
}

/// Ends a run with an error, unless it has ended or another owner has it.
///
/// # Errors
/// When the database cannot be used now.
pub async fn fail<C: ConnectionTrait>(
    connection: &C,
    id: RunId,
    epoch: u64,
    error: &str,
    now: Millis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE sync_runs SET status = 'failed', error = $1, waits_for = NULL, finished_at = $2 \
               WHERE id = $3 AND epoch = $4 AND status = 'running'";
    let values = vec![
        rows::text(shortened(error)),
        now.into(),
        rows::id(id),
        rows::number(epoch),
    ];
    Ok(statement::change(connection, sql, values).await? == 1)
}

/// How deliveries of one operation ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Delivered.
    pub delivered: u64,
    /// Dead.
    pub dead: u64,
    /// Cancelled.
    pub cancelled: u64,
}

impl Outcomes {
    fn sum(self) -> u64 {
        self.delivered + self.dead + self.cancelled
    }
}

/// Counts deliveries that have ended, in the transaction that takes them off what is on its way.
///
/// # Errors
/// When the database cannot be used now.
pub async fn settle<C: ConnectionTrait>(
    connection: &C,
    id: RunId,
    operation: Operation,
    outcomes: Outcomes,
) -> Result<(), StoreError> {
    let name = match operation {
        Operation::Write => "writes",
        Operation::Delete => "deletes",
    };
    let sql = format!(
        "UPDATE sync_runs SET {name}_delivered = {name}_delivered + $1, {name}_dead = {name}_dead + $2, \
         {name}_cancelled = {name}_cancelled + $3, pending = pending - $4 WHERE id = $5"
    );
    let values = vec![
        rows::number(outcomes.delivered),
        rows::number(outcomes.dead),
        rows::number(outcomes.cancelled),
        rows::number(outcomes.sum()),
        rows::id(id),
    ];
    statement::change(connection, &sql, values).await?;
    Ok(())
}

/// Ends a run whose rows are all read and whose deliveries have all ended.
///
/// # Errors
/// When the database cannot be used now.
pub async fn end_delivered<C: ConnectionTrait>(
    connection: &C,
    id: RunId,
    now: Millis,
) -> Result<(), StoreError> {
    let sql = "UPDATE sync_runs SET status = 'done', finished_at = $1 \
               WHERE id = $2 AND status = 'delivering' AND pending = 0";
    statement::change(connection, sql, vec![now.into(), rows::id(id)]).await?;
    Ok(())
}

/// Removes the oldest runs of a sync that have ended, but for the newest `kept`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn forget_old<C: ConnectionTrait>(
    connection: &C,
    sync: SyncId,
    kept: u32,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM sync_runs WHERE sync = $1 AND pending = 0 AND status IN ('done', 'cancelled', 'failed') \
               AND id < (SELECT id FROM sync_runs WHERE sync = $2 ORDER BY id DESC LIMIT 1 OFFSET $3)";
    let values = vec![rows::id(sync), rows::id(sync), i64::from(kept).into()];
    statement::change(connection, sql, values).await?;
    Ok(())
}
