//! Everything that waits for a moment, earliest first.

use std::collections::BTreeSet;

use super::{LaneId, front::Unit};
use crate::{Millis, ids::DestinationId};

/// What is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// The limit of attempts in all has a token again.
    Attempts,
    /// A destination's rate or circuit lets attempts out again.
    Gate(DestinationId),
    /// A refused append may be tried again.
    Append(LaneId),
    /// A head's next attempt is due.
    Head(Unit),
}

/// The alarms of a partition: one per waiting head and per waiting destination.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Millis, Alarm)>);

impl Timers {
    pub(super) fn set(&mut self, at: Millis, alarm: Alarm) {
        self.0.insert((at, alarm));
    }

    pub(super) fn clear(&mut self, at: Millis, alarm: Alarm) {
        self.0.remove(&(at, alarm));
    }

    /// When the first alarm is due.
    pub(super) fn next_at(&self) -> Option<Millis> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes the first alarm that is due at `now`.
    pub(super) fn pop_due(&mut self, now: Millis) -> Option<Alarm> {
        self.next_at().filter(|at| *at <= now)?;
        self.0.pop_first().map(|(_, alarm)| alarm)
    }
}
