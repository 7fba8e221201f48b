//! Selecting what a replay sends again: in steps, before the first is sent, so that what it makes itself
//! is never selected, and its order can be that of acceptance.

use hookrail_domain::{ids::ReplayId, replay::ReplayRequest};
use hookrail_store::{
    queries::selections::Selection,
    replay_items,
    replays::{self, ReplayRow, Selected},
};

use crate::{consume_partition::Workshop, jobs::JobError};

/// Items added in one transaction.
const STEP: u32 = 1_000;
/// Most items of a replay.
const MAX_ITEMS: i64 = 1_000_000;

/// How a step of the selection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Selecting {
    /// There may be more.
    More,
    /// All are selected.
    All,
    /// It can't be done, for this reason.
    Refused(String),
    /// It has ended, or another owner has it.
    NotOurs,
}

/// Selects the next items of a replay.
pub(crate) async fn select(
    workshop: &Workshop,
    epoch: u64,
    id: ReplayId,
    row: &ReplayRow,
) -> Result<Selecting, JobError> {
    let request: ReplayRequest = match serde_json::from_str(&row.selection) {
        Ok(request) => request,
        Err(error) => return Ok(Selecting::Refused(format!("it can't be read: {error}"))),
    };
    let selection = Selection::of(&row.workspace, &request);
    let after = row.selected_to.clone();
    let items = selection.items(workshop.store.reader(), after, STEP).await?;
    let added = items.len() as u64;
    if row.selected + items.len() as i64 > MAX_ITEMS {
        let reason = format!("it is about more than {MAX_ITEMS}: ask for fewer at a time");
        return Ok(Selecting::Refused(reason));
    }
    let step = Selected {
        to: items.last().map(|item| item.item.as_str()),
        added,
        all: added < u64::from(STEP),
    };
    let transaction = workshop.store.write().await?;
    if !replays::select(&*transaction, id, epoch, &step).await? {
        transaction.rollback().await?;
        return Ok(Selecting::NotOurs);
    }
    replay_items::insert(&*transaction, id, &items).await?;
    transaction.commit().await?;
    Ok(if step.all { Selecting::All } else { Selecting::More })
}
