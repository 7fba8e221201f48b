//! Replays: what is to be sent again, how far that is, and who works on it. The epoch in each row
//! fences off older owners, as in `partition_progress`.

use hookrail_domain::{Millis, ids::ReplayId};
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{IdPage, StoreError, rows, statement};

/// Waits for its turn.
pub const QUEUED: &str = "queued";
/// Is being worked on.
pub const RUNNING: &str = "running";
/// All was sent again, or skipped.
pub const DONE: &str = "done";
/// A person stopped it.
pub const CANCELLED: &str = "cancelled";
/// It could not go on.
pub const FAILED: &str = "failed";

/// A replay as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct ReplayRow {
    /// Its id.
    pub id: String,
    /// Its workspace.
    pub workspace: String,
    /// `deliveries` or `events`.
    pub what: String,
    /// Which of them: JSON, as it was asked for.
    pub selection: String,
    /// One of the statuses of this module.
    pub status: String,
    /// The job shard that works on it.
    pub shard: i64,
    /// The epoch of the shard's owner that took it.
    pub epoch: i64,
    /// How often it was taken since it last got further.
    pub stalls: i64,
    /// Items selected so far.
    pub selected: i64,
    /// The last id looked at while selecting.
    pub selected_to: Option<String>,
    /// How many there are; `None` until all are selected.
    pub total: Option<i64>,
    /// Sent again so far.
    pub replayed: i64,
    /// Skipped so far.
    pub skipped: i64,
    /// Why some were skipped: a JSON object of counts by reason.
    pub reasons: String,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was asked for, milliseconds.
    pub created_at: i64,
    /// When it was begun, milliseconds.
    pub started_at: Option<i64>,
    /// When it ended, milliseconds.
    pub finished_at: Option<i64>,
    /// 1 once nothing of it is left to be tidied up.
    pub swept: i64,
}

const COLUMNS: &str = "id, workspace, what, selection, status, shard, epoch, stalls, selected, selected_to, total, \
     replayed, skipped, reasons, error, created_at, started_at, finished_at, swept";

/// A replay that was asked for.
#[derive(Debug, Clone)]
pub struct NewReplay<'a> {
    /// Its id.
    pub id: ReplayId,
    /// Its workspace.
    pub workspace: &'a str,
    /// `deliveries` or `events`.
    pub what: &'a str,
    /// Which of them: JSON.
    pub selection: &'a str,
    /// The job shard that works on it.
    pub shard: u32,
    /// Now.
    pub at: Millis,
}

impl NewReplay<'_> {
    /// The row as it is before it is begun.
    pub fn row(&self) -> ReplayRow {
        ReplayRow {
            id: self.id.to_string(),
            workspace: self.workspace.to_owned(),
            what: self.what.to_owned(),
            selection: self.selection.to_owned(),
            status: QUEUED.to_owned(),
            shard: i64::from(self.shard),
            epoch: 0,
            stalls: 0,
            selected: 0,
            selected_to: None,
            total: None,
            replayed: 0,
            skipped: 0,
            reasons: "{}".to_owned(),
            error: None,
            created_at: self.at,
            started_at: None,
            finished_at: None,
            swept: 0,
        }
    }
}

/// Stores a replay.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn insert<C: ConnectionTrait>(connection: &C, row: &ReplayRow) -> Result<(), StoreError> {
    let values = vec![
        rows::text(&row.id),
        rows::text(&row.workspace),
        rows::text(&row.what),
        rows::text(&row.selection),
        rows::text(&row.status),
        row.shard.into(),
        row.epoch.into(),
        row.stalls.into(),
        row.selected.into(),
        rows::text_or_null(row.selected_to.as_ref()),
        row.total.into(),
        row.replayed.into(),
        row.skipped.into(),
        rows::text(&row.reasons),
        rows::text_or_null(row.error.as_ref()),
        row.created_at.into(),
        row.started_at.into(),
        row.finished_at.into(),
        row.swept.into(),
    ];
    rows::insert(connection, &format!("replays ({COLUMNS})"), vec![values], "").await?;
    Ok(())
}

/// One page of a workspace's replays.
///
/// # Errors
/// When the database cannot be used now.
pub async fn list<C: ConnectionTrait>(
    connection: &C,
    workspace: &str,
    page: &IdPage,
) -> Result<Vec<ReplayRow>, StoreError> {
    let (comparison, direction) = page.direction();
    let sql = format!(
        "SELECT {COLUMNS} FROM replays WHERE workspace = $1 AND id {comparison} $2 ORDER BY id {direction} LIMIT $3"
    );
    let values = vec![rows::text(workspace), page.bound().into(), page.limit().into()];
    statement::rows(connection, &sql, values).await
}

/// A replay of a workspace.
///
/// # Errors
/// When the database cannot be used now.
pub async fn find<C: ConnectionTrait>(
    connection: &C,
    workspace: &str,
    id: ReplayId,
) -> Result<Option<ReplayRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM replays WHERE id = $1 AND workspace = $2");
    let found = statement::rows(connection, &sql, vec![rows::id(id), rows::text(workspace)]).await?;
    Ok(found.into_iter().next())
}

/// Stops a replay that has not ended. `false`: it has.
///
/// # Errors
/// When the database cannot be used now.
pub async fn cancel<C: ConnectionTrait>(
    connection: &C,
    workspace: &str,
    id: ReplayId,
    now: Millis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE replays SET status = 'cancelled', finished_at = $1 \
               WHERE id = $2 AND workspace = $3 AND status IN ('queued', 'running')";
    let values = vec![now.into(), rows::id(id), rows::text(workspace)];
    Ok(statement::change(connection, sql, values).await? == 1)
}

/// The oldest replays of a job shard that want something done, at most `most`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn open<C: ConnectionTrait>(
    connection: &C,
    shard: u32,
    most: u32,
) -> Result<Vec<ReplayRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM replays WHERE shard = $1 AND swept = 0 ORDER BY id LIMIT $2");
    statement::rows(
        connection,
        &sql,
        vec![rows::number(shard), i64::from(most).into()],
    )
    .await
}

/// Takes a replay for the owner with `epoch`. `false`: a newer one has it, or it has ended.
///
/// # Errors
/// When the database cannot be used now.
pub async fn take<C: ConnectionTrait>(
    connection: &C,
    id: ReplayId,
    epoch: u64,
    now: Millis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE replays SET stalls = stalls + CASE WHEN epoch < $1 THEN 1 ELSE 0 END, epoch = $1, status = 'running', \
               started_at = COALESCE(started_at, $2) \
               WHERE id = $3 AND epoch <= $4 AND status IN ('queued', 'running')";
    let values = vec![rows::number(epoch), now.into(), rows::id(id), rows::number(epoch)];
    Ok(statement::change(connection, sql, values).await? == 1)
}

/// Notes that the replay's owner is well and only waits: that is no stall.
///
/// # Errors
/// When the database cannot be used now.
pub async fn alive<C: ConnectionTrait>(connection: &C, id: ReplayId, epoch: u64) -> Result<(), StoreError> {
    let sql = "UPDATE replays SET stalls = 0 WHERE id = $1 AND epoch = $2 AND stalls > 0";
    statement::change(connection, sql, vec![rows::id(id), rows::number(epoch)]).await?;
    Ok(())
}

/// How far the selection is.
#[derive(Debug, Clone)]
pub struct Selected<'a> {
    /// The last id looked at.
    pub to: Option<&'a str>,
    /// Items added.
    pub added: u64,
    /// Nothing is left to look at.
    pub all: bool,
}

/// Notes how far the selection is, in the transaction that adds its items. `false`: another owner has it,
/// or it has ended.
///
/// # Errors
/// When the database cannot be used now.
pub async fn select<C: ConnectionTrait>(
    connection: &C,
    id: ReplayId,
    epoch: u64,
    step: &Selected<'_>,
) -> Result<bool, StoreError> {
    let sql = "UPDATE replays SET selected = selected + $1, selected_to = COALESCE($2, selected_to), stalls = 0, \
               total = CASE WHEN $3 = 1 THEN selected + $4 ELSE NULL END \
               WHERE id = $5 AND epoch = $6 AND status = 'running'";
    let values = vec![
        rows::number(step.added),
        rows::text_or_null(step.to),
        i64::from(step.all).into(),
        rows::number(step.added),
        rows::id(id),
        rows::number(epoch),
    ];
    Ok(statement::change(connection, sql, values).await? == 1)
}

/// What was done of a replay.
#[derive(Debug, Clone, Default)]
pub struct Progress<'a> {
    /// Sent again.
    pub replayed: u64,
    /// Skipped.
    pub skipped: u64,
    /// All that were skipped so far, by reason: a JSON object.
    pub reasons: &'a str,
}

/// Moves a replay on, in the transaction that removes its items. It counts what was sent although it was
/// cancelled meanwhile. `false`: another owner has it.
///
/// # Errors
/// When the database cannot be used now.
pub async fn advance<C: ConnectionTrait>(
    connection: &C,
    id: ReplayId,
    epoch: u64,
    progress: &Progress<'_>,
) -> Result<bool, StoreError> {
    let sql = "UPDATE replays SET replayed = replayed + $1, skipped = skipped + $2, reasons = $3, stalls = 0 \
               WHERE id = $4 AND epoch = $5";
    let values = vec![
        rows::number(progress.replayed),
        rows::number(progress.skipped),
        rows::text(progress.reasons),
        rows::id(id),
        rows::number(epoch),
    ];
    Ok(statement::change(connection, sql, values).await? == 1)
}

/// Ends a replay, unless it was cancelled or another owner has it.
///
/// # Errors
/// When the database cannot be used now.
pub async fn finish<C: ConnectionTrait>(
    connection: &C,
    id: ReplayId,
    epoch: u64,
    error: Option<&str>,
    now: Millis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE replays SET status = $1, error = $2, finished_at = $3 \
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

/// Notes that nothing of an ended replay is left to be tidied up.
///
/// # Errors
/// When the database cannot be used now.
pub async fn swept<C: ConnectionTrait>(connection: &C, id: ReplayId) -> Result<(), StoreError> {
    let sql = "UPDATE replays SET swept = 1 WHERE id = $1 AND status NOT IN ('queued', 'running')";
    statement::change(connection, sql, vec![rows::id(id)]).await?;
    Ok(())
}
