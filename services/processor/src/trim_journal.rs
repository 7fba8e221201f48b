//! Keeping the journal bounded: what is older than its retention goes, and the oldest where the database is
//! too large. One worker does it, in small steps.

use std::{collections::HashMap, time::Duration};

use hookrail_broker::Lease;
use hookrail_domain::{Millis, retention::RetentionRules};

use crate::{
    consume_partition::Workshop,
    jobs::JobError,
    trim_by_age::{Ages, trim_by_age},
    trim_by_size::SizeLimit,
    trim_leftovers::Leftovers,
    trim_pages::Pages,
};

/// How much longer the pause is than the time that a round spent on what has to stay, where that is more: much
/// that is old and still owed must not be looked at all the time.
const PAUSE_FACTOR: u32 = 20;

/// Trims while the lease holds.
pub(crate) async fn trim_journal(workshop: Workshop, lease: Lease) {
    let mut limit = SizeLimit::default();
    let mut leftovers = Leftovers::default();
    while lease.holds() {
        let in_vain = match round(&workshop, &lease, &mut limit, &mut leftovers).await {
            Ok(in_vain) => in_vain,
            Err(error) => {
                tracing::warn!(%error, "trimming the journal did not work");
                Duration::ZERO
            }
        };
        let pause = workshop.settings.processor_trim_pause;
        tokio::time::sleep(pause.max(in_vain * PAUSE_FACTOR)).await;
    }
    workshop.metrics.store_bytes.set(0);
    workshop.metrics.store_over_limit.set(0);
}

async fn round(
    workshop: &Workshop,
    lease: &Lease,
    limit: &mut SizeLimit,
    leftovers: &mut Leftovers,
) -> Result<Duration, JobError> {
    let snapshot = workshop.snapshots.current();
    let settings = &workshop.settings;
    let rules = RetentionRules::new(&snapshot, settings.processor_retention_s);
    let least =
        Millis::try_from(settings.processor_settled_kept_s.saturating_mul(1000)).unwrap_or(Millis::MAX);
    let ages = Ages::new(rules, least);
    let mut pages = Pages {
        workshop,
        lease,
        reason: "age",
        removed: HashMap::new(),
        in_vain: Duration::ZERO,
    };
    trim_by_age(&mut pages, &ages).await?;
    leftovers.trim(&mut pages, &ages).await?;
    pages.reason = "size";
    limit.keep(&mut pages, ages.least()).await?;
    Ok(pages.in_vain)
}
