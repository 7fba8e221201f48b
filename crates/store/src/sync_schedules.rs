//! When syncs run next. Config writes a sync's row with its definition; whoever fires it moves it on.

use hookrail_domain::{Millis, ids::SyncId};
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{StoreError, rows, statement};

/// When a sync runs next.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct ScheduleRow {
    /// The sync.
    pub sync: String,
    /// Its workspace.
    pub workspace: String,
    /// The job shard that fires it.
    pub shard: i64,
    /// The cron pattern.
    pub schedule: String,
    /// When it runs next, milliseconds.
    pub next_at: i64,
    /// Times that were skipped since a run was still reading its rows.
    pub skipped: i64,
}

const COLUMNS: &str = "sync, workspace, shard, schedule, next_at, skipped";

/// Sets when a sync runs next; the count of skipped times stays.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn put<C: ConnectionTrait>(connection: &C, row: &ScheduleRow) -> Result<(), StoreError> {
    let values = vec![
        rows::text(&row.sync),
        rows::text(&row.workspace),
        row.shard.into(),
        rows::text(&row.schedule),
        row.next_at.into(),
        row.skipped.into(),
    ];
    let tail = "ON CONFLICT (sync) DO UPDATE SET schedule = excluded.schedule, next_at = excluded.next_at";
    rows::insert(
        connection,
        &format!("sync_schedules ({COLUMNS})"),
        vec![values],
        tail,
    )
    .await?;
    Ok(())
}

/// The sync runs by hand only from now on.
///
/// # Errors
/// When the database cannot be used now.
pub async fn remove<C: ConnectionTrait>(connection: &C, sync: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM sync_schedules WHERE sync = $1";
    statement::change(connection, sql, vec![rows::text(sync)]).await?;
    Ok(())
}

/// When a sync runs next; `None` = by hand only.
///
/// # Errors
/// When the database cannot be used now.
pub async fn find<C: ConnectionTrait>(connection: &C, sync: &str) -> Result<Option<ScheduleRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM sync_schedules WHERE sync = $1");
    statement::row(connection, &sql, vec![rows::text(sync)]).await
}

/// The schedules of a job shard whose time has come, at most `most`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn due<C: ConnectionTrait>(
    connection: &C,
    shard: u32,
    now: Millis,
    most: u32,
) -> Result<Vec<ScheduleRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM sync_schedules WHERE shard = $1 AND next_at <= $2 ORDER BY next_at LIMIT $3"
    );
    let values = vec![rows::number(shard), now.into(), i64::from(most).into()];
    statement::rows(connection, &sql, values).await
}

/// Moves a schedule on to `next_at`. `false`: somebody else did, or it was changed.
///
/// # Errors
/// When the database cannot be used now.
pub async fn fire<C: ConnectionTrait>(
    connection: &C,
    due: &ScheduleRow,
    next_at: Millis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE sync_schedules SET next_at = $1 WHERE sync = $2 AND next_at = $3 AND schedule = $4";
    let values = vec![
        next_at.into(),
        rows::text(&due.sync),
        due.next_at.into(),
        rows::text(&due.schedule),
    ];
    Ok(statement::change(connection, sql, values).await? == 1)
}

/// Counts a time at which no run was begun.
///
/// # Errors
/// When the database cannot be used now.
pub async fn skip<C: ConnectionTrait>(connection: &C, sync: SyncId) -> Result<(), StoreError> {
    let sql = "UPDATE sync_schedules SET skipped = skipped + 1 WHERE sync = $1";
    statement::change(connection, sql, vec![rows::id(sync)]).await?;
    Ok(())
}
