//! What deleted syncs have left: removed in steps, since it may be many rows.

use hookrail_domain::ids::SyncId;
use sea_orm::ConnectionTrait;

use crate::{StoreError, rows, statement};

/// Notes that a sync was deleted, in the transaction that deletes it, and stops its runs.
///
/// # Errors
/// When the database cannot be used now.
pub async fn add<C: ConnectionTrait>(connection: &C, sync: SyncId, shard: u32) -> Result<(), StoreError> {
    let values = vec![rows::id(sync), rows::number(shard)];
    rows::insert(
        connection,
        "sync_leftovers (sync, shard)",
        vec![values],
        "ON CONFLICT DO NOTHING",
    )
    .await?;
    let sql = "UPDATE sync_runs SET status = 'cancelled' WHERE sync = $1 AND status IN ('queued', 'running')";
    statement::change(connection, sql, vec![rows::id(sync)]).await?;
    Ok(())
}

/// The deleted syncs of a job shard that have left something.
///
/// # Errors
/// When the database cannot be used now.
pub async fn open<C: ConnectionTrait>(connection: &C, shard: u32) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT sync FROM sync_leftovers WHERE shard = $1 ORDER BY sync LIMIT 16";
    let found = statement::all(connection, sql, vec![rows::number(shard)]).await?;
    found.iter().map(|row| statement::column(row, "sync")).collect()
}

/// Removes at most `most` rows of a deleted sync, and in the end all else of it. Deliveries that are on their way go
/// on. `true`: nothing is left.
///
/// # Errors
/// When the database cannot be used now.
pub async fn sweep<C: ConnectionTrait>(connection: &C, sync: &str, most: u32) -> Result<bool, StoreError> {
    let sql = "DELETE FROM sync_rows WHERE sync = $1 AND row_key IN \
               (SELECT row_key FROM sync_rows WHERE sync = $2 ORDER BY row_key LIMIT $3)";
    let values = vec![rows::text(sync), rows::text(sync), i64::from(most).into()];
    if statement::change(connection, sql, values).await? > 0 {
        return Ok(false);
    }
    for table in ["sync_sends", "sync_runs", "sync_schedules", "sync_leftovers"] {
        let sql = format!("DELETE FROM {table} WHERE sync = $1");
        statement::change(connection, &sql, vec![rows::text(sync)]).await?;
    }
    Ok(true)
}
