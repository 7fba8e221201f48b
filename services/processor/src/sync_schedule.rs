//! Beginning runs of syncs whose time has come. Times that were missed come to one run; a time at which a run still
//! reads its rows is skipped, and counted.

use hookrail_domain::{
    ids::{EventId, SyncId},
    sync::{self, schedule},
};
use hookrail_runtime::clock;
use hookrail_store::{
    DefinitionTable, definition_rows,
    sync_runs::{self, NewRun},
    sync_schedules::{self, ScheduleRow},
};

use crate::{consume_partition::Workshop, jobs::JobError};

/// Schedules fired at once; more are a moment later.
const AT_ONCE: u32 = 100;

/// Fires the schedules of a shard whose time has come.
pub(crate) async fn fire(workshop: &Workshop, shard: u32) -> Result<(), JobError> {
    let now = clock::now_ms();
    for due in sync_schedules::due(workshop.store.reader(), shard, now, AT_ONCE).await? {
        let Ok(sync) = due.sync.parse::<SyncId>() else {
            continue;
        };
        match begin(workshop, &due, sync, now).await {
            // Somebody asked for a run at the same moment: the next look finds it open.
            Err(JobError::Store(error)) if error.is_unique_violation() => {}
            result => result?,
        }
    }
    Ok(())
}

async fn begin(workshop: &Workshop, due: &ScheduleRow, sync: SyncId, now: i64) -> Result<(), JobError> {
    let transaction = workshop.store.write().await?;
    // A pattern that never comes again is not looked at again.
    let next_at = schedule::next_after(&due.schedule, now).unwrap_or(i64::MAX);
    if !sync_schedules::fire(&*transaction, due, next_at).await? {
        return Ok(transaction.rollback().await?);
    }
    let table = DefinitionTable::Syncs;
    let found = definition_rows::find(&*transaction, table, &due.workspace, &due.sync).await?;
    if let Some(definition) = found {
        let new = NewRun {
            id: sync::run_of(hookrail_runtime::ids::new_id::<EventId>(now)),
            workspace: &due.workspace,
            sync,
            started_by: "schedule",
            definition: &definition.spec,
            revision: definition.revision,
            shard: sync::shard_of(sync),
            at: now,
        };
        if !sync_runs::begin(&*transaction, &new).await? {
            sync_schedules::skip(&*transaction, sync).await?;
            tracing::info!(%sync, "a time of a sync is skipped: it still runs");
        }
    }
    Ok(transaction.commit().await?)
}
