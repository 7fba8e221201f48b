//! One destination's gate: its limits, its circuit, and what waits for its turn there.

use super::{HoldReason, Limits, RateRule, TokenBucket, pace::Pace, quota::Quota, turns::Turns};
use crate::{
    Millis,
    circuit::{Circuit, CircuitState, Permit},
    destination::{OnDead, RetryPolicy},
    retry::{AttemptResult, Progress},
};

/// What the engine needs of a destination's definition. Where a destination spreads over several
/// partitions, its limits are this partition's share.
#[derive(Debug, Clone, PartialEq)]
pub struct DestinationRules {
    /// Off: its deliveries wait.
    pub enabled: bool,
    /// Exchanges at once.
    pub max_in_flight: u32,
    /// Attempts per second.
    pub rate: Option<RateRule>,
    /// When failed deliveries are tried again.
    pub retry: RetryPolicy,
    /// What a dead head does to its lane.
    pub on_dead: OnDead,
    /// Bytes that it may have in the parked stream.
    pub parked_bytes: u64,
}

/// Attempts of a delivery that count for the circuit while it is closed. Later failures say more
/// of the delivery than of the destination: lanes that fail for days must not close it for the rest.
const ATTEMPTS_THAT_COUNT: u32 = 2;

/// A destination's limits and ready list.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) rules: DestinationRules,
    /// True while the destination stands in the list of those that may have something to send.
    pub(super) listed: bool,
    /// Deleted: what waits is cancelled, in turn.
    pub(super) deleted: bool,
    /// Un-acked messages of the queue that are for this destination.
    pub(super) held: usize,
    /// How fast its deliveries are settled.
    pace: Pace,
    /// What it has in the parked stream, against its quota.
    pub(super) parked: Quota,
    /// Reads of the parked stream under way; each has taken the place of an attempt.
    pub(super) reading: u32,
    circuit: Circuit,
    bucket: Option<TokenBucket>,
    most_in_flight: u32,
    in_flight: u32,
    /// What waits for its turn.
    pub(super) turns: Turns,
}

impl Gate {
    pub(super) fn new(rules: DestinationRules, limits: &Limits, now: Millis) -> Self {
        let bucket = rules.rate.map(|rate| TokenBucket::new(rate, now));
        let most_in_flight = rules.max_in_flight.min(limits.destination_in_flight).max(1);
        let circuit = Circuit::new(limits.circuit);
        Self {
            rules,
            listed: false,
            deleted: false,
            held: 0,
            pace: Pace::default(),
            parked: Quota::default(),
            reading: 0,
            circuit,
            bucket,
            most_in_flight,
            in_flight: 0,
            turns: Turns::new(),
        }
    }

    /// The gate of a destination that nothing is known of but that it is deleted.
    pub(super) fn unknown(limits: &Limits, now: Millis) -> Self {
        let retry = RetryPolicy::default();
        let rules = DestinationRules {
            enabled: true,
            max_in_flight: 1,
            rate: None,
            retry,
            on_dead: OnDead::Continue,
            parked_bytes: u64::MAX,
        };
        let mut gate = Self::new(rules, limits, now);
        gate.deleted = true;
        gate
    }

    /// Takes new rules; what is in flight, the circuit, and the tokens of an unchanged rate stay.
    pub(super) fn redefine(&mut self, rules: DestinationRules, limits: &Limits, now: Millis) {
        if rules.rate != self.rules.rate {
            self.bucket = rules.rate.map(|rate| TokenBucket::new(rate, now));
        }
        self.most_in_flight = rules.max_in_flight.min(limits.destination_in_flight).max(1);
        self.rules = rules;
        self.deleted = false;
    }

    /// A delivery is settled.
    pub(super) fn settled(&mut self, now: Millis) {
        self.pace.settled(now);
    }

    /// True where what is in memory is not much, or soon gone.
    pub(super) fn keeps_up(&self, limits: &Limits, now: Millis) -> bool {
        let is_open = self.rules.enabled && self.circuit.state() == CircuitState::Closed;
        is_open && self.held <= limits.destination_held && self.pace.clears(self.held, now)
    }

    /// True where more is in memory than for a destination that is not known to settle it fast.
    pub(super) fn holds_much(&self, limits: &Limits) -> bool {
        self.held > self.much(limits)
    }

    /// What any destination may have in memory.
    pub(super) fn much(&self, limits: &Limits) -> usize {
        limits.destination_waiting + self.most_in_flight as usize
    }

    /// True where so much is in memory that a little more would be too much.
    pub(super) fn is_nearly_full(&self, limits: &Limits) -> bool {
        self.held > limits.destination_held / 4 * 3
    }

    /// Why more deliveries for this destination should not wait in memory, if so.
    pub(super) fn parks(&self, limits: &Limits, now: Millis) -> Option<HoldReason> {
        if !self.rules.enabled {
            Some(HoldReason::Disabled)
        } else if self.circuit.state() != CircuitState::Closed
            || (self.holds_much(limits) && !self.keeps_up(limits, now))
        {
            Some(HoldReason::Limit)
        } else {
            None
        }
    }

    /// Whether an attempt may begin at `now`.
    pub(super) fn permit(&mut self, now: Millis) -> Permit {
        if self.in_flight + self.reading >= self.most_in_flight {
            return Permit::AfterOutcome;
        }
        if self.deleted {
            return Permit::Now { probe: false };
        }
        if !self.rules.enabled {
            return Permit::AfterOutcome;
        }
        let permit = self.circuit.permit(now);
        let Permit::Now { .. } = permit else { return permit };
        match self.bucket.as_mut().and_then(|bucket| bucket.wait_until(now)) {
            Some(at) => Permit::At(at),
            None => permit,
        }
    }

    /// An attempt that [`Gate::permit`] allowed begins.
    pub(super) fn began(&mut self, probe: bool) {
        self.in_flight += 1;
        if probe {
            self.circuit.probe_began();
        }
        if let Some(bucket) = &mut self.bucket {
            bucket.take();
        }
    }

    /// An attempt ended; `progress` counts it.
    pub(super) fn ended(&mut self, result: AttemptResult, progress: Progress, probe: bool, now: Millis) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if result.shows_life(&self.rules.retry) {
            self.circuit.succeeded();
        } else if result.was_not_sent() {
            self.circuit.probe_abandoned(now);
        } else if probe || progress.attempts <= ATTEMPTS_THAT_COUNT {
            self.circuit.failed(probe, now);
        }
    }

    /// A person wants an attempt now: an open circuit lets its next probe out at once.
    pub(super) fn probe_now(&mut self, now: Millis) {
        self.circuit.probe_now(now);
    }

    pub(super) fn circuit(&self) -> CircuitState {
        self.circuit.state()
    }
}
