//! Going through the journal's rows page by page, removing what may go. A page is one short transaction, and
//! whoever else writes has at least as much time as it took before the next.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hookrail_broker::Lease;
use hookrail_domain::{
    Millis,
    ids::{DeliveryId, EventId, Id},
};
use hookrail_store::trim::{self, Owner, Page, Seen};

use crate::{consume_partition::Workshop, jobs::JobError};

/// Rows of a page: looked at together, and removed in one transaction at the most.
pub(crate) const STEP: u32 = 500;
/// The shortest pause after a page.
const BREATH: Duration = Duration::from_millis(5);

/// Which rows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Deliveries, with their attempts.
    Deliveries,
    /// Events, with what they say of entities: of one status where they are a source's.
    Events(Option<&'static str>),
}

impl Kind {
    /// The first id that is no older than a time.
    pub(crate) fn id_at(self, time: Millis) -> String {
        match self {
            Self::Deliveries => DeliveryId::from_parts(time, 0).to_string(),
            Self::Events(_) => EventId::from_parts(time, 0).to_string(),
        }
    }
}

/// Goes through pages for one reason, and counts.
pub(crate) struct Pages<'a> {
    pub(crate) workshop: &'a Workshop,
    pub(crate) lease: &'a Lease,
    /// Why rows go: `age` or `size`.
    pub(crate) reason: &'static str,
    /// Rows that are gone, by table.
    pub(crate) removed: HashMap<&'static str, u64>,
    /// How long was spent on looking at what has to stay.
    pub(crate) in_vain: Duration,
}

impl Pages<'_> {
    /// All rows of a kind and an owner that are older than a time.
    pub(crate) async fn all(&mut self, kind: Kind, owner: Owner, before: Millis) -> Result<(), JobError> {
        let mut page = page(kind, owner, before);
        while self.lease.holds() {
            let seen = self.step(kind, &page).await?;
            if seen.rows < STEP {
                return Ok(());
            }
            page.after = seen.last;
        }
        Ok(())
    }

    /// One page.
    pub(crate) async fn step(&mut self, kind: Kind, page: &Page) -> Result<Seen, JobError> {
        let looking = Instant::now();
        let reader = self.workshop.store.reader();
        let seen = match kind {
            Kind::Deliveries => trim::deliveries::look_at(reader, page).await?,
            Kind::Events(status) => trim::events::look_at(reader, page, status).await?,
        };
        if seen.may_go.is_empty() {
            self.in_vain += looking.elapsed();
            if seen.rows == STEP {
                tokio::time::sleep(BREATH).await;
            }
            return Ok(seen);
        }
        let writing = Instant::now();
        self.remove(kind, &seen.may_go, page.settled_before).await?;
        tokio::time::sleep(writing.elapsed().max(BREATH)).await;
        Ok(seen)
    }

    async fn remove(&mut self, kind: Kind, ids: &[String], before: Millis) -> Result<(), JobError> {
        let transaction = self.workshop.store.write().await?;
        match kind {
            Kind::Deliveries => {
                let removed = trim::deliveries::go(&*transaction, ids, before).await?;
                transaction.commit().await?;
                self.count("deliveries", removed.deliveries);
                self.count("attempts", removed.attempts);
            }
            Kind::Events(_) => {
                let removed = trim::events::go(&*transaction, ids, before).await?;
                transaction.commit().await?;
                self.count("events", removed.events);
                self.count("event_entities", removed.about);
            }
        }
        Ok(())
    }

    /// Counts rows that are gone.
    pub(crate) fn count(&mut self, table: &'static str, rows: u64) {
        *self.removed.entry(table).or_default() += rows;
        let trimmed = &self.workshop.metrics.journal_trimmed;
        trimmed.with_label_values(&[table, self.reason]).inc_by(rows);
    }
}

/// The first page of a kind and an owner, of what is older than a time.
pub(crate) fn page(kind: Kind, owner: Owner, before: Millis) -> Page {
    Page {
        owner,
        after: None,
        end: kind.id_at(before),
        settled_before: before,
        most: STEP,
    }
}
