//! A destination's circuit: after a run of failures only probes go out, until one succeeds.
//!
//! Says whether an attempt may begin and learns from how attempts end. It doesn't choose which
//! delivery is the probe, nor does it know why an attempt failed.

use crate::Millis;

/// When a circuit opens and how often it is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitRule {
    /// Failures in a row that open it.
    pub failures: u32,
    /// Wait before the first probe, in ms; it doubles with every probe that fails.
    pub probe_after_ms: Millis,
    /// The longest wait between two probes, in ms.
    pub probe_max_ms: Millis,
}

impl Default for CircuitRule {
    /// 20 in a row: more than the lanes that commonly fail by themselves; then a probe after 1 s, up to every 30 s.
    fn default() -> Self {
        Self {
            failures: 20,
            probe_after_ms: 1_000,
            probe_max_ms: 30_000,
        }
    }
}

/// Where a circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// Attempts go out freely.
    Closed,
    /// None goes out before the probe.
    Open {
        /// When the next probe may go out.
        probe_at: Millis,
    },
    /// One probe is out; its outcome decides.
    HalfOpen,
}

/// Whether an attempt may begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Yes.
    Now {
        /// It is the probe.
        probe: bool,
    },
    /// Not before this moment.
    At(Millis),
    /// Not before an attempt ends.
    AfterOutcome,
}

/// The circuit of one destination.
#[derive(Debug, Clone)]
pub struct Circuit {
    rule: CircuitRule,
    state: CircuitState,
    failures: u32,
    wait_ms: Millis,
}

impl Circuit {
    /// A closed circuit.
    pub fn new(rule: CircuitRule) -> Self {
        Self {
            rule,
            state: CircuitState::Closed,
            failures: 0,
            wait_ms: rule.probe_after_ms,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> CircuitState {
        self.state
    }

    /// Whether an attempt may begin at `now`.
    pub fn permit(&self, now: Millis) -> Permit {
        match self.state {
            CircuitState::Closed => Permit::Now { probe: false },
            CircuitState::Open { probe_at } if probe_at <= now => Permit::Now { probe: true },
            CircuitState::Open { probe_at } => Permit::At(probe_at),
            CircuitState::HalfOpen => Permit::AfterOutcome,
        }
    }

    /// The probe that [`Circuit::permit`] allowed has begun.
    pub fn probe_began(&mut self) {
        self.state = CircuitState::HalfOpen;
    }

    /// A person asks for an attempt: an open circuit is probed now.
    pub fn probe_now(&mut self, now: Millis) {
        if let CircuitState::Open { probe_at } = &mut self.state {
            *probe_at = now.min(*probe_at);
        }
    }

    /// The probe ended without a word about the destination (cancelled, say): probe again.
    pub fn probe_abandoned(&mut self, now: Millis) {
        if self.state == CircuitState::HalfOpen {
            self.state = CircuitState::Open { probe_at: now };
        }
    }

    /// An attempt reached the destination, probe or not: it closes the circuit.
    pub fn succeeded(&mut self) {
        *self = Self::new(self.rule);
    }

    /// An attempt failed by the destination's fault. One that began before the circuit opened says nothing new.
    pub fn failed(&mut self, probe: bool, now: Millis) {
        match self.state {
            CircuitState::Closed => self.count(now),
            CircuitState::HalfOpen if probe => self.reopen(now),
            CircuitState::Open { .. } | CircuitState::HalfOpen => {}
        }
    }

    fn count(&mut self, now: Millis) {
        self.failures += 1;
        if self.failures >= self.rule.failures {
            self.state = CircuitState::Open {
                probe_at: now.saturating_add(self.wait_ms),
            };
        }
    }

    fn reopen(&mut self, now: Millis) {
        self.wait_ms = self.wait_ms.saturating_mul(2).min(self.rule.probe_max_ms);
        self.state = CircuitState::Open {
            probe_at: now.saturating_add(self.wait_ms),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Circuit {
        let mut circuit = Circuit::new(CircuitRule {
            failures: 3,
            probe_after_ms: 1_000,
            probe_max_ms: 3_000,
        });
        for _ in 0..3 {
            assert_eq!(circuit.permit(0), Permit::Now { probe: false });
            circuit.failed(false, 0);
        }
        circuit
    }

    #[test]
    fn a_run_of_failures_opens_it_and_a_success_between_does_not_let_it() {
        assert_eq!(opened().state(), CircuitState::Open { probe_at: 1_000 });
        let mut circuit = Circuit::new(CircuitRule {
            failures: 2,
            ..CircuitRule::default()
        });
        for _ in 0..5 {
            circuit.failed(false, 0);
            circuit.succeeded();
        }
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    #[test]
    fn only_one_probe_at_a_time_goes_out() {
        let mut circuit = opened();
        assert_eq!(circuit.permit(999), Permit::At(1_000));
        assert_eq!(circuit.permit(1_000), Permit::Now { probe: true });
        circuit.probe_began();
        assert_eq!(circuit.permit(9_000), Permit::AfterOutcome);
    }

    #[test]
    fn failed_probes_come_at_doubling_waits_up_to_the_longest() {
        let mut circuit = opened();
        let mut waits = Vec::new();
        for _ in 0..3 {
            circuit.probe_began();
            circuit.failed(true, 0);
            waits.push(circuit.permit(0));
        }
        assert_eq!(waits, [Permit::At(2_000), Permit::At(3_000), Permit::At(3_000)]);
    }

    #[test]
    fn older_attempts_that_fail_late_change_nothing_and_any_success_closes_it() {
        let mut circuit = opened();
        circuit.failed(false, 500);
        assert_eq!(circuit.state(), CircuitState::Open { probe_at: 1_000 });
        circuit.probe_began();
        circuit.failed(false, 1_500);
        assert_eq!(circuit.state(), CircuitState::HalfOpen);
        circuit.succeeded();
        assert_eq!(circuit.state(), CircuitState::Closed);
    }
}
