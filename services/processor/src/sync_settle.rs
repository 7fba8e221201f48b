//! What became of records of syncs: counted, and noted of their rows, each once.

use std::collections::{BTreeMap, HashSet};

use hookrail_domain::{
    ids::{RunId, SyncId},
    sync::decide::{Operation, settled},
};
use hookrail_runtime::clock;
use hookrail_store::{
    sync_rows, sync_runs,
    sync_runs::Outcomes,
    sync_sends::{self, EndedRow},
};

use crate::{consume_partition::Workshop, jobs::JobError};

/// Records that are settled together.
const AT_ONCE: u32 = 2_000;

/// Settles the records of a run whose deliveries have ended; gives how many.
pub(crate) async fn settle(workshop: &Workshop, sync: SyncId, run: RunId) -> Result<usize, JobError> {
    let ended = sync_sends::ended(workshop.store.reader(), run, AT_ONCE).await?;
    if ended.is_empty() {
        return Ok(0);
    }
    let transaction = workshop.store.write().await?;
    let gone: HashSet<String> = sync_sends::take_off(&*transaction, &ended)
        .await?
        .into_iter()
        .collect();
    let taken: Vec<&EndedRow> = ended.iter().filter(|row| gone.contains(&row.delivery)).collect();
    for ((operation, is_delivered), keys) in by_end(&taken) {
        sync_rows::settle(&*transaction, sync, settled(operation, is_delivered), &keys).await?;
    }
    for operation in [Operation::Write, Operation::Delete] {
        let outcomes = outcomes(&taken, operation);
        if outcomes != Outcomes::default() {
            sync_runs::settle(&*transaction, run, operation, outcomes).await?;
        }
    }
    sync_runs::end_delivered(&*transaction, run, clock::now_ms()).await?;
    transaction.commit().await?;
    for row in &taken {
        let labels = [row.status.as_str()];
        workshop.metrics.sync_records.with_label_values(&labels).inc();
    }
    Ok(taken.len())
}

/// The keys of rows by what was told of them and whether that arrived.
fn by_end<'r>(taken: &[&'r EndedRow]) -> BTreeMap<(Operation, bool), Vec<&'r str>> {
    let mut groups: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for row in taken {
        let end = (row.operation(), row.status == "delivered");
        groups.entry(end).or_default().push(&row.row_key);
    }
    groups
}

fn outcomes(taken: &[&EndedRow], operation: Operation) -> Outcomes {
    let count = |status: &str| {
        let is_so = |row: &&&EndedRow| row.operation() == operation && row.status == status;
        taken.iter().filter(is_so).count() as u64
    };
    Outcomes {
        delivered: count("delivered"),
        dead: count("dead"),
        cancelled: count("cancelled"),
    }
}
