//! Which shards of background jobs have something to do, in one look at all of them.

use std::collections::BTreeSet;

use hookrail_domain::{Millis, ownership::JOB_SHARDS};
use sea_orm::ConnectionTrait;

use crate::{StoreError, statement};

/// A kind of background job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobKind {
    /// Replays.
    Replays,
    /// Imports.
    Imports,
    /// Syncs: runs, what they sent, schedules, and what deleted ones have left.
    Syncs,
}

impl JobKind {
    const ALL: [Self; 3] = [Self::Replays, Self::Imports, Self::Syncs];

    /// Its name, in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replays => "replays",
            Self::Imports => "imports",
            Self::Syncs => "syncs",
        }
    }

    /// Where there may be something to do, and when there is. The conditions are those of each kind's own
    /// queries for a shard, so that both are answered by the same index.
    fn tables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Replays => &[("replays", "swept = 0")],
            Self::Imports => &[("imports", "swept = 0 AND status <> 'uploading'")],
            Self::Syncs => &[
                ("sync_runs", "status IN ('queued', 'running')"),
                ("sync_runs", "pending > 0"),
                ("sync_schedules", "next_at <= $1"),
                ("sync_leftovers", "1 = 1"),
            ],
        }
    }
}

/// The shards in which jobs of a kind want something done at `now`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn open<C: ConnectionTrait>(
    connection: &C,
    now: Millis,
) -> Result<BTreeSet<(JobKind, u32)>, StoreError> {
    let found = statement::all(connection, &query(), vec![now.into()]).await?;
    let mut open = BTreeSet::new();
    for row in &found {
        let (kind, shard): (String, i64) =
            (statement::column(row, "kind")?, statement::column(row, "shard")?);
        let kind = JobKind::ALL.into_iter().find(|known| known.as_str() == kind);
        open.extend(kind.zip(u32::try_from(shard).ok()));
    }
    Ok(open)
}

fn query() -> String {
    let shards: Vec<String> = (0..JOB_SHARDS).map(|shard| shard.to_string()).collect();
    let shards = shards.join(", ");
    let of_kind = |kind: JobKind| {
        let (name, shards) = (kind.as_str(), shards.clone());
        kind.tables().iter().map(move |(table, condition)| {
            format!("SELECT '{name}' AS kind, shard FROM {table} WHERE shard IN ({shards}) AND {condition}")
        })
    };
    let parts: Vec<String> = JobKind::ALL.into_iter().flat_map(of_kind).collect();
    parts.join(" UNION ")
}
