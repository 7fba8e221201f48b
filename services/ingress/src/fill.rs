//! How full each raw partition, the object store and the stream of answers are, looked at once a second, so
//! that the ingress refuses before the broker does: what is above the limit is for internal events, for
//! deliveries, and for the answers of those that wait already. And which paused sources hold as much as they
//! may, which a processor says.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt;
use hookrail_domain::ids::SourceId;

use crate::state::Ingress;

/// How full a partition may be for senders, per cent.
const FULL_PERCENT: u64 = 85;
/// How often the partitions are looked at.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How many partitions are asked about at once.
const ASKED_AT_ONCE: usize = 8;

/// Which partitions are too full for senders, and whether the object store and the stream of answers are.
pub(crate) struct RawFill {
    partitions: Vec<AtomicBool>,
    objects: AtomicBool,
    answers: AtomicBool,
    /// Whether any source is full, so that requests commonly take no lock.
    has_full_sources: AtomicBool,
    full_sources: RwLock<BTreeSet<SourceId>>,
}

impl RawFill {
    pub(crate) fn new(partitions: u32) -> Self {
        Self {
            partitions: (0..partitions).map(|_| AtomicBool::new(false)).collect(),
            objects: AtomicBool::new(false),
            answers: AtomicBool::new(false),
            has_full_sources: AtomicBool::new(false),
            full_sources: RwLock::default(),
        }
    }

    /// Whether a partition takes no more from senders.
    pub(crate) fn is_full(&self, partition: u32) -> bool {
        let full = self.partitions.get(partition as usize);
        full.is_some_and(|full| full.load(Ordering::Relaxed))
    }

    /// Whether the object store takes no more from senders: the rest is for deliveries.
    pub(crate) fn are_objects_full(&self) -> bool {
        self.objects.load(Ordering::Relaxed)
    }

    /// Whether no more callers are taken that wait for an answer: what there is left is for the answers of
    /// those that wait already.
    pub(crate) fn answers_are_full(&self) -> bool {
        self.answers.load(Ordering::Relaxed)
    }

    /// Whether a source is paused, or was until now, and holds as much as it may.
    pub(crate) fn is_source_full(&self, source: SourceId) -> bool {
        let full = || self.full_sources.read().unwrap_or_else(PoisonError::into_inner);
        self.has_full_sources.load(Ordering::Relaxed) && full().contains(&source)
    }

    fn set_full_sources(&self, full: BTreeSet<SourceId>) {
        let has_any = !full.is_empty();
        *self.full_sources.write().unwrap_or_else(PoisonError::into_inner) = full;
        self.has_full_sources.store(has_any, Ordering::Relaxed);
    }

    fn set(&self, partition: u32, is_full: bool) {
        if let Some(full) = self.partitions.get(partition as usize) {
            full.store(is_full, Ordering::Relaxed);
        }
    }
}

/// Looks at all partitions once. Where the broker gives no answer, the last one stands. Gives the
/// reason of a failure.
pub(crate) async fn look(ingress: &Arc<Ingress>) -> Result<(), String> {
    let partitions = 0..ingress.broker.settings().partitions;
    let asked = futures::stream::iter(partitions)
        .map(|partition| async move { (partition, ingress.broker.raw_state(partition).await) })
        .buffer_unordered(ASKED_AT_ONCE);
    let mut result = Ok(());
    match ingress.broker.responses_state().await {
        Ok(state) => {
            let is_full = state.percent() >= FULL_PERCENT;
            ingress.fill.answers.store(is_full, Ordering::Relaxed);
        }
        Err(error) => result = Err(error.to_string()),
    }
    match ingress.broker.full_sources().await {
        Ok(full) => ingress.fill.set_full_sources(full),
        Err(error) => result = Err(error.to_string()),
    }
    let mut answers = std::pin::pin!(asked);
    while let Some((partition, state)) = answers.next().await {
        match state {
            Ok(state) => ingress.fill.set(partition, state.percent() >= FULL_PERCENT),
            Err(error) => result = Err(error.to_string()),
        }
    }
    match ingress.broker.objects_state().await {
        Ok(state) => {
            let is_full = state.percent() >= FULL_PERCENT;
            ingress.fill.objects.store(is_full, Ordering::Relaxed);
        }
        Err(error) => result = Err(error.to_string()),
    }
    result
}
