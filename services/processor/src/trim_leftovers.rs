//! Removing what is left when all that it was about is gone. It is little, so it is done now and then.

use std::time::{Duration, Instant};

use hookrail_store::trim::{leftovers, workspaces};

use crate::{
    jobs::JobError,
    trim_by_age::Ages,
    trim_pages::{Pages, STEP},
};

/// How often.
const INTERVAL: Duration = Duration::from_secs(600);

/// The pause between two steps of which the first was full.
const BREATH: Duration = Duration::from_millis(50);

/// When it was done last.
#[derive(Default)]
pub(crate) struct Leftovers {
    done: Option<Instant>,
}

impl Leftovers {
    /// Removes what is left, where it is time again.
    pub(crate) async fn trim(&mut self, pages: &mut Pages<'_>, ages: &Ages<'_>) -> Result<(), JobError> {
        if self.done.is_some_and(|done| done.elapsed() < INTERVAL) {
            return Ok(());
        }
        rejections(pages, ages).await?;
        loop {
            let transaction = pages.workshop.store.write().await?;
            let replays = leftovers::replays(&*transaction, ages.all(), STEP).await?;
            let sources = leftovers::of_deleted_sources(&*transaction, STEP).await?;
            transaction.commit().await?;
            pages.count("replays", replays);
            pages.count("deleted_sources", sources);
            if replays < u64::from(STEP) && sources < u64::from(STEP) {
                break;
            }
            tokio::time::sleep(BREATH).await;
        }
        gone_workspaces(pages).await?;
        self.done = Some(Instant::now());
        Ok(())
    }
}

async fn gone_workspaces(pages: &mut Pages<'_>) -> Result<(), JobError> {
    let mut workspace = None;
    while pages.lease.holds() {
        workspace = workspaces::gone_after(pages.workshop.store.reader(), workspace).await?;
        let Some(gone) = workspace else { break };
        while pages.lease.holds() {
            let transaction = pages.workshop.store.write().await?;
            let removed = workspaces::go(&*transaction, gone, STEP).await?;
            transaction.commit().await?;
            pages.count("entities", removed);
            if removed == 0 {
                break;
            }
            tokio::time::sleep(BREATH).await;
        }
    }
    Ok(())
}

async fn rejections(pages: &mut Pages<'_>, ages: &Ages<'_>) -> Result<(), JobError> {
    let mut source = None;
    while pages.lease.holds() {
        source = leftovers::source_after(pages.workshop.store.reader(), source).await?;
        let Some(of) = source else { break };
        let transaction = pages.workshop.store.write().await?;
        let gone = leftovers::rejections(&*transaction, of, ages.of(source)).await?;
        transaction.commit().await?;
        pages.count("rejections", gone);
    }
    Ok(())
}
