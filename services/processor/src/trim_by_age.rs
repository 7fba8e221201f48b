//! Trimming the journal by age: first what is older than the longest retention in force, whoever's it is;
//! then, for sources that keep their events for less, what is older than that.
//!
//! Deliveries go before events, since an event stays as long as a delivery of it does.

use std::time::Instant;

use hookrail_domain::{Millis, ids::SourceId, retention::RetentionRules};
use hookrail_runtime::clock;
use hookrail_store::trim::{self, Owner};

use crate::{
    jobs::JobError,
    trim_pages::{Kind, Pages},
};

/// What may have become of an event, as the rows of a source lie together.
const STATUSES: [&str; 4] = ["processed", "filtered", "failed", "duplicate"];

/// The times before which what is old may go.
pub(crate) struct Ages<'a> {
    rules: RetentionRules<'a>,
    /// How long everything stays at the least.
    least: Millis,
    now: Millis,
}

impl<'a> Ages<'a> {
    pub(crate) fn new(rules: RetentionRules<'a>, least: Millis) -> Self {
        let now = clock::now_ms();
        Self { rules, least, now }
    }

    /// Before when everything is old.
    pub(crate) fn all(&self) -> Millis {
        self.before(self.rules.longest())
    }

    /// Before when what is a source's, or nobody's, is old.
    pub(crate) fn of(&self, source: Option<SourceId>) -> Millis {
        self.before(self.rules.of(source))
    }

    /// Before when what is settled may go early.
    pub(crate) fn least(&self) -> Millis {
        self.before(self.least)
    }

    fn before(&self, keep: Millis) -> Millis {
        self.now.saturating_sub(keep.max(self.least))
    }
}

/// Goes through all that is old once.
pub(crate) async fn trim_by_age(pages: &mut Pages<'_>, ages: &Ages<'_>) -> Result<(), JobError> {
    pages.all(Kind::Deliveries, Owner::Any, ages.all()).await?;
    pages.all(Kind::Events(None), Owner::Any, ages.all()).await?;
    if ages.rules.shortest() < ages.rules.longest() {
        of_sources(pages, ages, Kind::Deliveries).await?;
        for status in STATUSES {
            of_sources(pages, ages, Kind::Events(Some(status))).await?;
        }
    }
    Ok(())
}

async fn of_sources(pages: &mut Pages<'_>, ages: &Ages<'_>, kind: Kind) -> Result<(), JobError> {
    let mut source = None;
    loop {
        let before = ages.of(source);
        if before > ages.all() {
            pages.all(kind, Owner::Source(source), before).await?;
        }
        let looking = Instant::now();
        let reader = pages.workshop.store.reader();
        let next = match kind {
            Kind::Deliveries => trim::deliveries::source_after(reader, source).await?,
            Kind::Events(_) => trim::events::source_after(reader, source).await?,
        };
        pages.in_vain += looking.elapsed();
        match next {
            Some(_) if pages.lease.holds() => source = next,
            _ => return Ok(()),
        }
    }
}
