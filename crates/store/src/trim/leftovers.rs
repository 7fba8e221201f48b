//! What is left when all that it was about is gone: what is known of sources that were deleted, replays that
//! ended long ago, old refusals.

use hookrail_domain::{
    Millis,
    ids::{Id, ReplayId, SourceId},
};
use sea_orm::ConnectionTrait;

use super::next_source;
use crate::{StoreError, rows, statement};

/// The tables with what is known of sources, besides their rejections.
const OF_SOURCES: [&str; 3] = ["source_counters", "source_refusals", "source_warnings"];

/// Removes at most `most` rows of each table about sources that are not defined any more and have no events;
/// gives how many there were. What one of their last events may still say of them goes the next time.
///
/// # Errors
/// When the database cannot be used now.
pub async fn of_deleted_sources<C: ConnectionTrait>(connection: &C, most: u32) -> Result<u64, StoreError> {
    let mut gone = 0;
    for table in OF_SOURCES.into_iter().chain(["rejections"]) {
        let sql = format!(
            "DELETE FROM {table} WHERE source IN (SELECT source FROM {table} AS known \
             WHERE NOT EXISTS (SELECT 1 FROM sources WHERE sources.id = known.source) \
             AND NOT EXISTS (SELECT 1 FROM events WHERE events.source = known.source) LIMIT $1)"
        );
        gone += statement::change(connection, &sql, vec![i64::from(most).into()]).await?;
    }
    Ok(gone)
}

/// Removes the rejections of a source that came before a time; there are at most a hundred of each.
///
/// # Errors
/// When the database cannot be used now.
pub async fn rejections<C: ConnectionTrait>(
    connection: &C,
    source: SourceId,
    before: Millis,
) -> Result<u64, StoreError> {
    let sql = "DELETE FROM rejections WHERE source = $1 AND at < $2";
    statement::change(connection, sql, vec![rows::id(source), before.into()]).await
}

/// The first source after `after` that has rejections.
///
/// # Errors
/// When the database cannot be used now.
pub async fn source_after<C: ConnectionTrait>(
    connection: &C,
    after: Option<SourceId>,
) -> Result<Option<SourceId>, StoreError> {
    next_source(connection, "rejections", after).await
}

/// Removes at most `most` replays that ended before a time and are tidied up.
///
/// # Errors
/// When the database cannot be used now.
pub async fn replays<C: ConnectionTrait>(
    connection: &C,
    before: Millis,
    most: u32,
) -> Result<u64, StoreError> {
    let sql = "DELETE FROM replays WHERE id IN (SELECT id FROM replays \
               WHERE id < $1 AND swept = 1 AND finished_at < $2 ORDER BY id LIMIT $3)";
    let end = ReplayId::from_parts(before, 0);
    let values = vec![rows::id(end), before.into(), i64::from(most).into()];
    statement::change(connection, sql, values).await
}
