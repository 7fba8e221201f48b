//! Trimming the journal by size: while the database is larger than it may be, the oldest settled deliveries
//! and processed events go, whatever their retention. What is owed stays, and so do entities.

use std::time::Duration;

use hookrail_domain::{Millis, ids::DeliveryId};
use hookrail_store::{
    size,
    trim::{Owner, Page},
};

use crate::{
    jobs::JobError,
    trim_pages::{Kind, Pages, STEP, page},
};

/// How far below its limit the database is brought, in percent of it: so that it begins seldom.
const DOWN_TO_PERCENT: u64 = 95;
/// Steps after which an estimated size is asked for again, and the pause that the server's own statistics need
/// to know of them.
const STEPS_PER_ESTIMATE: u32 = 20;
const ESTIMATE_PAUSE: Duration = Duration::from_secs(2);

/// Whether the database is over its limit, as it was seen last.
#[derive(Default)]
pub(crate) struct SizeLimit {
    is_over: bool,
}

impl SizeLimit {
    /// Brings the database below its limit, as far as what was settled before `before` allows it.
    pub(crate) async fn keep(&mut self, pages: &mut Pages<'_>, before: Millis) -> Result<(), JobError> {
        let max = pages.workshop.settings.processor_store_max_bytes;
        let bytes = measure(pages).await?;
        if max == 0 || bytes <= max {
            self.note(pages, false, bytes, max);
            return Ok(());
        }
        self.note(pages, true, bytes, max);
        let wanted = max / 100 * DOWN_TO_PERCENT;
        let left = shrink(pages, before, wanted).await?;
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

/// Removes the oldest until the size is as wanted, or nothing more may go; gives the size then.
async fn shrink(pages: &mut Pages<'_>, before: Millis, wanted: u64) -> Result<u64, JobError> {
    let mut deliveries = page(Kind::Deliveries, Owner::Any, before);
    let mut events = page(Kind::Events(None), Owner::Any, before);
    let (mut steps, mut more) = (0, true);
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
        steps += 1;
        if is_due(pages, steps) && measure(pages).await? <= wanted {
            break;
        }
        if !size::is_exact(&pages.workshop.store) && steps % STEPS_PER_ESTIMATE == 0 {
            tokio::time::sleep(ESTIMATE_PAUSE).await;
        }
    }
    measure(pages).await
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

fn is_due(pages: &Pages<'_>, steps: u32) -> bool {
    size::is_exact(&pages.workshop.store) || steps % STEPS_PER_ESTIMATE == 1
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
    pages
        .workshop
        .metrics
        .store_bytes
        .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    Ok(bytes)
}
