//! Trimming the log of an owned partition: all of it by the longest retention in force and, whatever the age,
//! where it is too full; then each source that keeps its events for less. Never beyond the committed
//! sequence.
//!
//! Of sources only some are trimmed at a time, in turn, and those where nothing can have become old since
//! are passed over.

use std::collections::{HashMap, HashSet};

use hookrail_broker::{Broker, BrokerError, Lease, StreamFill};
use hookrail_domain::{Millis, ids::SourceId, retention::RetentionRules};
use hookrail_runtime::clock;

use crate::consume_partition::Workshop;

/// Sources trimmed at once, at the most.
const SOURCES_AT_ONCE: usize = 32;
/// Sequences by which a source's trimming goes on at once, at the most: the log takes nothing meanwhile.
const SPAN_MAX: u64 = 500_000;

/// How far the sources of a partition are trimmed.
#[derive(Default)]
pub(crate) struct LogTrimmer {
    /// The sources whose turn is still to come in this round.
    round: Vec<String>,
    /// Up to where each is trimmed.
    through: HashMap<String, u64>,
}

/// The log as it was when trimming began.
struct Log<'a> {
    broker: &'a Broker,
    lease: &'a Lease,
    state: &'a StreamFill,
    committed: u64,
    now: Millis,
    /// The last old sequence for each retention that was asked for.
    old: HashMap<Millis, u64>,
}

impl LogTrimmer {
    /// Trims once; gives how many events went.
    pub(crate) async fn trim(
        &mut self,
        workshop: &Workshop,
        lease: &Lease,
        state: &StreamFill,
        committed: u64,
    ) -> Result<u64, BrokerError> {
        if state.messages == 0 {
            return Ok(0);
        }
        let snapshot = workshop.snapshots.current();
        let rules = RetentionRules::new(&snapshot, workshop.settings.processor_retention_s);
        let mut log = Log {
            broker: &workshop.broker,
            lease,
            state,
            committed,
            now: clock::now_ms(),
            old: HashMap::new(),
        };
        let too_much = too_much(state, workshop.settings.processor_trim_percent);
        let through = log
            .last_older(rules.longest())
            .await?
            .max(too_much)
            .min(committed);
        let mut trimmed = 0;
        if through >= state.first_sequence && lease.holds() {
            trimmed += workshop.broker.trim_raw(lease.partition(), through).await?;
        }
        if rules.shortest() < rules.longest() && log.is_old(rules.shortest()) {
            trimmed += self.trim_sources(&mut log, &rules).await?;
        }
        Ok(trimmed)
    }

    async fn trim_sources(
        &mut self,
        log: &mut Log<'_>,
        rules: &RetentionRules<'_>,
    ) -> Result<u64, BrokerError> {
        if self.round.is_empty() {
            self.round = log.broker.raw_sources(log.lease.partition()).await?;
            let listed: HashSet<&String> = self.round.iter().collect();
            self.through.retain(|source, _| listed.contains(source));
        }
        let longest = rules.longest();
        let (mut trimmed, mut left) = (0, SOURCES_AT_ONCE);
        while left > 0
            && log.lease.holds()
            && let Some(source) = self.round.pop()
        {
            let keep = rules.of(source.parse::<SourceId>().ok());
            if keep >= longest {
                continue;
            }
            let done = self.through.get(&source).copied().unwrap_or_default();
            let from = done.max(log.state.first_sequence.saturating_sub(1));
            let through = log.last_older(keep).await?.min(from.saturating_add(SPAN_MAX));
            if through <= from {
                continue;
            }
            trimmed += log
                .broker
                .trim_raw_source(log.lease.partition(), &source, through)
                .await?;
            self.through.insert(source, through);
            left -= 1;
        }
        Ok(trimmed)
    }
}

impl Log<'_> {
    /// Whether the log has an event that is older than `keep`.
    fn is_old(&self, keep: Millis) -> bool {
        self.state.first_at < self.before(keep)
    }

    /// What was stored before this is older than `keep`. What the broker still knows a repetition by stays,
    /// since the ingress looks it up.
    fn before(&self, keep: Millis) -> Millis {
        let known_ms = Millis::try_from(self.broker.settings().duplicate_window_ms).unwrap_or(Millis::MAX);
        self.now.saturating_sub(keep.max(known_ms))
    }

    /// The last committed sequence that is older than `keep`; 0 where there is none.
    async fn last_older(&mut self, keep: Millis) -> Result<u64, BrokerError> {
        if !self.is_old(keep) {
            return Ok(0);
        }
        if let Some(old) = self.old.get(&keep) {
            return Ok(*old);
        }
        let since = self
            .broker
            .raw_since(self.lease.partition(), self.before(keep))
            .await?;
        let old = since.saturating_sub(1).min(self.committed);
        self.old.insert(keep, old);
        Ok(old)
    }
}

/// The last sequence to go so that the log is at most `percent` full, taking its events for equally
/// large; 0 where it isn't too full.
fn too_much(state: &StreamFill, percent: u64) -> u64 {
    let wanted = state.max_bytes / 100 * percent;
    if state.bytes <= wanted || state.messages == 0 {
        return 0;
    }
    let share = (state.bytes - wanted) as f64 / state.bytes as f64;
    // Where events of the middle are gone, the oldest are farther apart.
    let sequences = state.last_sequence + 1 - state.first_sequence;
    state.first_sequence + (sequences as f64 * share).ceil() as u64 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(messages: u64, bytes: u64) -> StreamFill {
        StreamFill {
            messages,
            bytes,
            max_bytes: 1000,
            first_sequence: 11,
            last_sequence: 10 + messages,
            first_at: 0,
        }
    }

    #[test]
    fn a_log_that_is_not_too_full_keeps_everything() {
        assert_eq!(too_much(&state(10, 700), 70), 0);
    }

    #[test]
    fn a_log_that_is_too_full_loses_its_oldest_share() {
        assert_eq!(too_much(&state(10, 875), 70), 12);
        assert_eq!(too_much(&state(1, 900), 70), 11);
    }
}
