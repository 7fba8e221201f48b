//! Trimming the journal by size: while the database is larger than it may be, the oldest settled deliveries
//! and processed events go, whatever their retention. What is owed stays, and so do entities.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use hookrail_domain::{Millis, ids::DeliveryId};
use hookrail_store::{
    size::{self, RowBytes},
    trim::{Owner, Page},
};

use crate::{
    jobs::JobError,
    trim_pages::{Kind, Pages, STEP, page},
};

/// How far below its limit the database is brought, in percent of it: so that it begins seldom.
const DOWN_TO_PERCENT: u64 = 95;
/// How long a database whose size is an estimate is left alone after rows went: its server's statistics, of
/// which the estimate is made, may be late by ten seconds.
const ESTIMATE_REST: Duration = Duration::from_secs(30);
/// The tables whose rows go early.
const TABLES: [&str; 4] = ["deliveries", "attempts", "events", "event_entities"];

/// Whether the database is over its limit, as it was seen last.
#[derive(Default)]
pub(crate) struct SizeLimit {
    is_over: bool,
    rests_until: Option<Instant>,
}

impl SizeLimit {
    /// Brings the database below its limit, as far as what was settled before `before` allows it.
    pub(crate) async fn keep(&mut self, pages: &mut Pages<'_>, before: Millis) -> Result<(), JobError> {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        let max = pages.workshop.settings.processor_store_max_bytes;
        let bytes = measure(pages).await?;
        if max == 0 || bytes <= max {
            self.note(pages, false, bytes, max);
            return Ok(());
        }
        self.note(pages, true, bytes, max);
        let rows = size::row_bytes(&pages.workshop.store, &TABLES).await?;
        self.rests_until = rows.is_some().then(|| Instant::now() + ESTIMATE_REST);
        let gauge = Gauge::new(pages, bytes, rows);
        let left = shrink(pages, before, &gauge, max / 100 * DOWN_TO_PERCENT).await?;
        // Above the wanted size and below the limit is good enough, and no reason to begin at once again.
        if left <= max {
            self.note(pages, false, left, max);
        }
        Ok(())
    }

    fn note(&mut self, pages: &Pages<'_>, is_over: bool, bytes: u64, max_bytes: u64) {
        pages.workshop.metrics.store_over_limit.set(i64::from(is_over));
        if std::mem::replace(&mut self.is_over, is_over) == is_over {
            return;
        }
        match is_over {
            true => tracing::warn!(
                bytes,
                max_bytes,
                "the database is over its limit: the oldest go early"
            ),
            false => tracing::warn!(bytes, max_bytes, "the database is below its limit again"),
        }
    }
}

/// How much is left while rows go: measured where that is exact, else what was there without what the rows
/// that went took.
struct Gauge {
    bytes: u64,
    rows: Option<RowBytes>,
    /// Rows that had gone before.
    before: HashMap<&'static str, u64>,
}

impl Gauge {
    fn new(pages: &Pages<'_>, bytes: u64, rows: Option<RowBytes>) -> Self {
        let before = pages.removed.clone();
        Self { bytes, rows, before }
    }

    async fn left(&self, pages: &Pages<'_>) -> Result<u64, JobError> {
        let Some(rows) = &self.rows else {
            return measure(pages).await;
        };
        let before = |table| self.before.get(table).copied().unwrap_or_default();
        let gone = pages.removed.iter();
        let gone: u64 = gone
            .map(|(table, gone)| rows.of(table, gone - before(table)))
            .sum();
        let left = self.bytes.saturating_sub(gone);
        note_bytes(pages, left);
        Ok(left)
    }
}

/// Removes the oldest until the size is as wanted, or nothing more may go; gives the size then.
async fn shrink(pages: &mut Pages<'_>, before: Millis, gauge: &Gauge, wanted: u64) -> Result<u64, JobError> {
    let mut deliveries = page(Kind::Deliveries, Owner::Any, before);
    let mut events = page(Kind::Events(None), Owner::Any, before);
    let mut more = true;
    while more && pages.lease.holds() {
        let seen = pages.step(Kind::Deliveries, &deliveries).await?;
        let all_deliveries = seen.rows < STEP;
        deliveries.after = seen.last.or(deliveries.after);
        // Events not before their deliveries, or they would be passed over.
        let reached = if all_deliveries {
            before
        } else {
            time_of(&deliveries).min(before)
        };
        events.end = Kind::Events(None).id_at(reached);
        more = events_up_to(pages, &mut events).await? || !all_deliveries;
        if gauge.left(pages).await? <= wanted {
            break;
        }
    }
    gauge.left(pages).await
}

/// One page of events; whether there may be more of them.
async fn events_up_to(pages: &mut Pages<'_>, events: &mut Page) -> Result<bool, JobError> {
    let seen = pages.step(Kind::Events(None), events).await?;
    let is_full = seen.rows == STEP;
    if seen.last.is_some() {
        events.after = seen.last;
    }
    Ok(is_full)
}

/// The time of the last delivery that was looked at.
fn time_of(deliveries: &Page) -> Millis {
    let last = deliveries
        .after
        .as_ref()
        .and_then(|id| id.parse::<DeliveryId>().ok());
    last.map_or(0, DeliveryId::time)
}

async fn measure(pages: &Pages<'_>) -> Result<u64, JobError> {
    let bytes = size::bytes_in_use(&pages.workshop.store).await?;
    note_bytes(pages, bytes);
    Ok(bytes)
}

fn note_bytes(pages: &Pages<'_>, bytes: u64) {
    let gauge = &pages.workshop.metrics.store_bytes;
    gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
}
