//! How far a source's events have come, in figures that belong together.

use hookrail_domain::ids::SourceId;
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::source_counters::Counts;
use crate::{StoreError, rows, statement};

/// A source's counters, and up to which sequence of each partition they count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceProgress {
    /// What has become of its events up to there.
    pub counts: Counts,
    /// Its events up to there that are held.
    pub held: u64,
    /// The committed sequence of each partition that somebody took.
    pub committed: Vec<(u32, u64)>,
}

impl SourceProgress {
    /// The committed sequence of a partition; 0 where nobody took it.
    pub fn committed_in(&self, partition: u32) -> u64 {
        let found = self.committed.iter().find(|(known, _)| *known == partition);
        found.map_or(0, |(_, sequence)| *sequence)
    }
}

/// The counters, what is held, and the sequences in one statement, so that no commit is between them: what
/// lies above the sequences is then exactly what is neither counted nor held.
///
/// # Errors
/// When the database cannot be used now.
pub async fn progress<C: ConnectionTrait>(
    connection: &C,
    source: SourceId,
) -> Result<SourceProgress, StoreError> {
    let sql = "SELECT partition, sequence, COALESCE(processed, 0) AS processed, COALESCE(filtered, 0) AS filtered, \
               COALESCE(failed, 0) AS failed, COALESCE(duplicate, 0) AS duplicate, \
               COALESCE(last_event_at, 0) AS last_event_at, \
               CAST(COALESCE((SELECT SUM(events) FROM held_sources WHERE held_sources.source = $1), 0) AS BIGINT) AS held \
               FROM partition_progress LEFT JOIN source_counters ON source_counters.source = $2 ORDER BY partition";
    let mut progress = SourceProgress::default();
    for row in statement::all(connection, sql, vec![rows::id(source), rows::id(source)]).await? {
        let partition: i64 = statement::column(&row, "partition")?;
        let sequence: i64 = statement::column(&row, "sequence")?;
        progress.counts = Counts::from_query_result(&row, "")?;
        progress.held = statement::column::<i64>(&row, "held")?.unsigned_abs();
        progress.committed.push((
            u32::try_from(partition).unwrap_or(u32::MAX),
            sequence.unsigned_abs(),
        ));
    }
    Ok(progress)
}
