//! Looking after an owned partition's log beside the work on it: its lag, and trimming what is
//! processed, by age and, whatever the age, where the log is too full. Never beyond the committed
//! sequence.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

use hookrail_broker::{Broker, BrokerError, Lease, RawState};
use hookrail_runtime::clock;

use crate::consume_partition::Workshop;

/// How often a partition's log is looked at.
const INTERVAL: Duration = Duration::from_secs(10);
/// Tries of a search for the first event that is young enough to stay: enough for 2^40 events.
const SEARCH_STEPS: u32 = 40;

/// Tends a partition until it is dropped or the lease is over.
pub(crate) async fn tend(workshop: Workshop, lease: Lease, committed: Arc<AtomicU64>) {
    let partition = lease.partition();
    let lag = workshop
        .metrics
        .lag
        .with_label_values(&[partition.to_string().as_str()]);
    // Not at once: the committed sequence is known only after the takeover.
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + INTERVAL, INTERVAL);
    while lease.holds() {
        ticks.tick().await;
        let committed = committed.load(Ordering::Acquire);
        let state = match workshop.broker.raw_state(partition).await {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(partition, %error, "the partition's state is not known");
                continue;
            }
        };
        lag.set(i64::try_from(state.last_sequence.saturating_sub(committed)).unwrap_or(i64::MAX));
        match trim(&workshop, &lease, &state, committed).await {
            Ok(trimmed) => workshop.metrics.trimmed.inc_by(trimmed),
            Err(error) => tracing::warn!(partition, %error, "trimming the partition did not work"),
        }
    }
    lag.set(0);
}

async fn trim(
    workshop: &Workshop,
    lease: &Lease,
    state: &RawState,
    committed: u64,
) -> Result<u64, BrokerError> {
    let settings = &workshop.settings;
    let keep_ms = i64::try_from(settings.processor_retention_s.saturating_mul(1000)).unwrap_or(i64::MAX);
    let before = clock::now_ms().saturating_sub(keep_ms);
    let old = last_older(&workshop.broker, lease.partition(), state, committed, before).await?;
    let through = old
        .max(too_much(state, settings.processor_trim_percent))
        .min(committed);
    if state.messages == 0 || through < state.first_sequence || !lease.holds() {
        return Ok(0);
    }
    workshop.broker.trim_raw(lease.partition(), through).await
}

/// The last sequence to go so that the log is at most `percent` full, taking its events for equally
/// large; 0 where it isn't too full.
fn too_much(state: &RawState, percent: u64) -> u64 {
    let wanted = state.max_bytes / 100 * percent;
    if state.bytes <= wanted || state.messages == 0 {
        return 0;
    }
    let share = (state.bytes - wanted) as f64 / state.bytes as f64;
    state.first_sequence + (state.messages as f64 * share).ceil() as u64 - 1
}

/// The last committed sequence that was stored before `before`, by bisection; 0 where there is none.
async fn last_older(
    broker: &Broker,
    partition: u32,
    state: &RawState,
    committed: u64,
    before: i64,
) -> Result<u64, BrokerError> {
    let (mut older, mut younger) = (0, committed.min(state.last_sequence) + 1);
    let mut probe = state.first_sequence;
    for _ in 0..SEARCH_STEPS {
        if probe == 0 || probe >= younger {
            break;
        }
        // A sequence without a message counts as old: what is above it decides.
        let message = broker.raw_get(partition, probe).await?;
        match message.is_none_or(|message| message.timestamp_ms < before) {
            true => older = probe,
            false => younger = probe,
        }
        if older == 0 || older + 1 >= younger {
            break;
        }
        probe = older + (younger - older) / 2;
    }
    Ok(older)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(messages: u64, bytes: u64) -> RawState {
        RawState {
            messages,
            bytes,
            max_bytes: 1000,
            first_sequence: 11,
            last_sequence: 10 + messages,
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
