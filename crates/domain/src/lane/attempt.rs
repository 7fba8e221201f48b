//! Attempts: whose turn it is, sending, and what an outcome means for its delivery.

use super::{
    Action, AttemptId, End, HoldReason, PartitionLanes, Send,
    front::{Head, Stage, Unit},
    partition_lanes::Turn,
    timers::Alarm,
};
use crate::{
    Millis,
    circuit::Permit,
    delivery::ErrorCode,
    destination::OnDead,
    ids::DestinationId,
    retry::{self, AttemptResult, Verdict},
};

/// An attempt in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flight {
    unit: Unit,
    probe: bool,
}

impl PartitionLanes {
    /// A delivery came to the front: it waits for its turn, unless it is not to be sent at all.
    pub(super) fn begin_head(&mut self, unit: Unit, turn: &mut Turn<'_>) {
        let Some(head) = self.head_mut(unit) else { return };
        let (delivery, origin) = (head.item.delivery, head.item.origin);
        let stale =
            matches!(unit, Unit::Lane(id) if self.lanes.get(&id).is_some_and(|lane| lane.is_stale(origin)));
        if stale {
            self.settle(unit, End::Stale, turn);
        } else if self.cancelled.contains(&delivery) || !self.is_wanted(unit.destination()) {
            self.settle(unit, End::Cancelled(ErrorCode::Cancelled), turn);
        } else {
            self.wait_for_turn(unit, turn.now);
            self.tell_caller_of(unit, turn);
        }
    }

    /// Puts the unit into its destination's ready list, at once or when its moment has come.
    pub(super) fn wait_for_turn(&mut self, unit: Unit, now: Millis) {
        let takeover = self.takeover;
        let Some(head) = self.head_mut(unit) else { return };
        let at = head
            .progress
            .next_at
            .max(earliest(unit, head, takeover.delivered, takeover.not_before));
        let progress = head.progress;
        let just_read = std::mem::take(&mut head.just_read);
        let fresh = progress.attempts == 0;
        if at > now {
            head.stage = Stage::Until(at);
            return self.timers.set(at, Alarm::Head(unit));
        }
        head.stage = Stage::Ready;
        if let Some(gate) = self.gates.get_mut(&unit.destination()) {
            if just_read {
                gate.turns.push_just_read(unit)
            } else {
                gate.turns.push(unit, fresh)
            }
        }
        self.forget_passed_turns(unit.destination());
        self.list(unit.destination());
    }

    /// Lists a destination that may have something to send.
    pub(super) fn list(&mut self, destination: DestinationId) {
        let Some(gate) = self.gates.get_mut(&destination) else {
            return;
        };
        if !gate.turns.is_empty() && !gate.listed {
            gate.listed = true;
            self.listed.push_back(destination);
        }
    }

    /// Sends what may be sent, the destinations taking turns.
    pub(super) fn send_ready(&mut self, turn: &mut Turn<'_>) {
        while !self.draining
            && self.flights.len() + self.reading < self.limits.in_flight as usize
            && !self.listed.is_empty()
        {
            if let Some(at) = self.attempts.wait_until(turn.now) {
                return self.timers.set(at, Alarm::Attempts);
            }
            if let Some(destination) = self.listed.pop_front() {
                self.send_one(destination, turn);
            }
        }
    }

    fn send_one(&mut self, destination: DestinationId, turn: &mut Turn<'_>) {
        let Some(gate) = self.gates.get_mut(&destination) else {
            return;
        };
        gate.listed = false;
        match gate.permit(turn.now) {
            Permit::Now { probe } => {
                if let Some(unit) = gate.turns.pop() {
                    self.send(unit, probe, turn);
                }
                self.list(destination);
            }
            Permit::At(at) => self.timers.set(at, Alarm::Gate(destination)),
            // An outcome or new rules list it again.
            Permit::AfterOutcome => {}
        }
    }

    fn send(&mut self, unit: Unit, probe: bool, turn: &mut Turn<'_>) {
        if self.begin_read(unit, turn) {
            return;
        }
        let attempt = AttemptId(self.next_attempt);
        let Some(head) = self.head_mut(unit) else { return };
        // A unit that a command took out of the ready list leaves its entry behind.
        if head.stage != Stage::Ready {
            return;
        }
        let (item, is_urged) = (head.item, head.is_urged);
        if item.is_too_late(turn.now) {
            return self.settle(unit, End::Cancelled(ErrorCode::Expired), turn);
        }
        if !is_urged && self.is_paused(item.route) {
            return self.wait_for_route(unit, turn);
        }
        let Some(head) = self.head_mut(unit) else { return };
        let send = begin_attempt(head, attempt, probe, turn.now);
        turn.actions.push(Action::Send(send));
        self.next_attempt += 1;
        self.attempts.take();
        self.flights.insert(attempt, Flight { unit, probe });
        if let Some(gate) = self.gates.get_mut(&unit.destination()) {
            gate.began(probe);
        }
    }

    /// An attempt ended: records it and does what it means.
    pub(super) fn finish(
        &mut self,
        attempt: AttemptId,
        result: AttemptResult,
        jitter: f64,
        turn: &mut Turn<'_>,
    ) {
        let Some(flight) = self.flights.remove(&attempt) else {
            return;
        };
        let unit = flight.unit;
        let verdict = self.judge(flight, result, jitter, turn.now);
        let settles = self.settles(unit, verdict);
        let Some(head) = self.head_mut(unit) else { return };
        head.stage = Stage::Held;
        head.progress.next_at = match verdict {
            Verdict::Retry { after_ms, .. } => turn.now.saturating_add(after_ms),
            _ => 0,
        };
        let (item, progress) = (head.item, head.progress);
        let (place, delivery) = (item.place, item.delivery);
        turn.actions.push(Action::Record {
            attempt,
            place,
            delivery,
            result,
            verdict,
            progress,
            settles,
        });
        // Told before the lane is parked: what is parked is not looked at.
        self.tell_callers_behind(unit, verdict, turn);
        self.follow(unit, verdict, turn);
        self.list(unit.destination());
    }

    /// What the attempt meant, by its destination's rules; the destination's gate learns of it too.
    fn judge(&mut self, flight: Flight, result: AttemptResult, jitter: f64, now: Millis) -> Verdict {
        let Some(head) = self.head_mut(flight.unit) else {
            return Verdict::Delivered;
        };
        let (progress, caller) = (head.progress, head.item.caller);
        let wanted = self.is_wanted(flight.unit.destination());
        let Some(gate) = self.gates.get_mut(&flight.unit.destination()) else {
            return Verdict::Delivered;
        };
        gate.ended(result, progress, flight.probe, now);
        if !wanted {
            let dead = Verdict::Dead {
                code: ErrorCode::Cancelled,
            };
            return if result.is_success() {
                Verdict::Delivered
            } else {
                dead
            };
        }
        let policy = &gate.rules.retry;
        match caller {
            Some(caller) => retry::judge_respond(policy, result, progress, now, jitter, caller.deadline),
            None => retry::judge(policy, result, progress, now, jitter),
        }
    }

    /// True where the delivery ends by the attempt.
    fn settles(&mut self, unit: Unit, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Delivered => true,
            Verdict::Retry { .. } => self.is_cancelled(unit),
            Verdict::Dead { .. } => self.is_cancelled(unit) || !self.holds_dead(unit),
            Verdict::DisableDestination => false,
        }
    }

    fn is_cancelled(&mut self, unit: Unit) -> bool {
        let delivery = self.head_mut(unit).map(|head| head.item.delivery);
        delivery.is_some_and(|delivery| self.cancelled.contains(&delivery))
    }

    fn follow(&mut self, unit: Unit, verdict: Verdict, turn: &mut Turn<'_>) {
        match verdict {
            Verdict::Delivered => self.settle(unit, End::Delivered, turn),
            Verdict::Retry { .. } | Verdict::Dead { .. } if self.is_cancelled(unit) => {
                self.settle(unit, End::Cancelled(ErrorCode::Cancelled), turn);
            }
            Verdict::Retry { .. } => self.wait_parked(unit, HoldReason::Retry, turn),
            Verdict::Dead { .. } if self.holds_dead(unit) => self.park_head(unit, HoldReason::Held, turn),
            Verdict::Dead {
                code: ErrorCode::Cancelled,
            } => {
                self.settle(unit, End::Cancelled(ErrorCode::Cancelled), turn);
            }
            Verdict::Dead { code } => self.settle(unit, End::Dead(code), turn),
            Verdict::DisableDestination => self.disable(unit, turn),
        }
    }

    /// True where a dead head stays at the front of its lane until a person decides.
    pub(super) fn holds_dead(&mut self, unit: Unit) -> bool {
        let gate = self.gates.get(&unit.destination());
        let holds = gate.is_some_and(|gate| gate.rules.on_dead == OnDead::Hold);
        let respond = self.head_mut(unit).is_some_and(|head| head.item.caller.is_some());
        holds && !respond && matches!(unit, Unit::Lane(_)) && self.is_wanted(unit.destination())
    }

    /// The receiver is gone: its destination is disabled, and the delivery waits with the others.
    fn disable(&mut self, unit: Unit, turn: &mut Turn<'_>) {
        let destination = unit.destination();
        if let Some(gate) = self.gates.get_mut(&destination) {
            gate.rules.enabled = false;
        }
        if let Some(head) = self.head_mut(unit) {
            let delivery = head.item.delivery;
            turn.actions.push(Action::DestinationGone {
                destination,
                delivery,
            });
        }
        self.wait_parked(unit, HoldReason::Disabled, turn);
    }

    /// True where the destination is there to be sent to, enabled or not.
    pub(super) fn is_wanted(&self, destination: DestinationId) -> bool {
        self.gates.get(&destination).is_some_and(|gate| !gate.deleted)
    }
}

/// The moment before which the owner before this one may still be sending the lane's head.
fn earliest(unit: Unit, head: &Head, delivered: u64, not_before: Millis) -> Millis {
    if head.item.sequence <= delivered && matches!(unit, Unit::Lane(_)) {
        not_before
    } else {
        0
    }
}

fn begin_attempt(head: &mut Head, attempt: AttemptId, probe: bool, now: Millis) -> Send {
    if head.progress.attempts == 0 {
        head.progress.first_attempt_at = now;
    }
    head.progress.attempts = head.progress.attempts.saturating_add(1);
    head.is_urged = false;
    head.stage = Stage::InFlight(attempt);
    let (item, number) = (head.item, head.progress.attempts);
    Send {
        attempt,
        place: item.place,
        delivery: item.delivery,
        destination: item.destination,
        number,
        probe,
    }
}
