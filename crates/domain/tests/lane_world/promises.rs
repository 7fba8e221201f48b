//! The promises, checked at the moment that each could be broken.

use super::*;

impl World {
    pub(super) fn sent(&mut self, send: Send) {
        let index = self.index_at(send.place);
        self.check_turn(index);
        let message = &mut self.messages[index];
        let ordered = message.arrival.lane.is_some();
        assert!(
            !ordered || message.end.is_none(),
            "sent after its end: {message:?}"
        );
        assert!(self.enabled[&send.destination], "sent to a disabled destination");
        let waits = message
            .arrival
            .route
            .is_some_and(|route| self.paused.contains(&route));
        assert!(
            !waits || self.urged.contains(&message.arrival.delivery),
            "sent although its route is paused: {message:?}"
        );
        let lane = message.arrival.lane_id();
        let by_command = lane.is_none_or(|lane| self.touched.contains(&lane));
        let held = self
            .stream
            .due_at(message.arrival.sequence)
            .is_some_and(|(_, held)| held);
        assert!(
            by_command || !held,
            "sent although it waits for a person: {message:?}"
        );
        assert!(
            self.sends.iter().all(|other| other.place != send.place),
            "sent twice at once"
        );
        // What is unordered may lie in two places once a takeover was unclean, and be sent from both.
        assert!(
            !ordered || message.arrival.caller.is_none() || !message.answered,
            "sent again although its caller has an answer: {message:?}"
        );
        message.attempts += 1;
        self.sends.push(send);
    }

    /// Told only of who still waits for what did not end.
    pub(super) fn check_in_vain(&self, place: Place) {
        let message = &self.messages[self.index_at(place)];
        let waits_until = message.arrival.caller.map(|caller| caller.waits_until);
        assert!(waits_until.is_some_and(|until| until > self.now), "{message:?}");
        assert!(
            message.end.is_none() || message.arrival.lane.is_none(),
            "{message:?}"
        );
    }

    /// Told of a head only whose route is paused.
    pub(super) fn check_told_paused(&mut self, place: Place) {
        let index = self.index_at(place);
        self.check_turn(index);
        let arrival = self.messages[index].arrival;
        let paused = arrival.route.is_some_and(|route| self.paused.contains(&route));
        assert!(paused && arrival.lane.is_some(), "{arrival:?}");
        self.told_paused.insert(arrival.delivery);
    }

    /// In an ordered lane all that came before is settled, and what was settled is not sent again.
    pub(super) fn check_turn(&self, index: usize) {
        let arrival = self.messages[index].arrival;
        let Some(lane) = arrival.lane else { return };
        for earlier in &self.messages[..index] {
            let same =
                (earlier.arrival.destination, earlier.arrival.lane) == (arrival.destination, arrival.lane);
            assert!(
                !same || earlier.end.is_some(),
                "{index} was sent before {earlier:?} was settled"
            );
        }
        // A lane that is forgotten knows nothing of what it settled.
        let remembered = self.limits.remembered_lanes >= self.messages.len();
        if let Some(origin) = arrival.origin.filter(|_| remembered) {
            assert!(
                !self
                    .settled_origins
                    .contains(&(arrival.destination, lane, origin)),
                "a stale copy was sent"
            );
        }
        let given_out = index < self.taken_over_at;
        assert!(
            !given_out || self.now >= self.not_before,
            "sent while the owner before may still be sending"
        );
    }

    pub(super) fn settle_wanted(&mut self, settle: Settle) {
        let message = &self.messages[self.index_at(settle.place)];
        if settle.end == End::Moved {
            return self.settles.push(settle);
        }
        let ordered = message.arrival.lane.is_some();
        assert!(!ordered || message.end.is_none(), "settled twice: {message:?}");
        let parked = matches!(settle.place, Place::Parked(_));
        assert!(
            !ordered || !parked || !message.queued,
            "deleted before its ack was confirmed: {message:?}"
        );
        let is_copy = |other: &Message| other.end.is_some() && other.arrival.origin == message.arrival.origin;
        assert!(
            settle.end != End::Stale || self.messages.iter().any(is_copy),
            "dropped although nothing like it was settled: {message:?}"
        );
        assert!(
            !matches!(settle.end, End::Dead(ErrorCode::Status)) || settle.progress.attempts > 0,
            "dead before one attempt"
        );
        self.settles.push(settle);
    }

    /// In an ordered lane, what is behind an append must not be parked while something before it
    /// lies un-acked in the queue alone; and one append of a lane is under way at a time.
    pub(super) fn check_append(&self, place: Place, to: ParkedSubject) {
        let ParkedSubject::Lane(lane) = to else { return };
        assert!(
            self.appends_under_way().all(|other| other.to != to),
            "two appends of {lane:?} at once"
        );
        for earlier in &self.messages[..self.index_at(place)] {
            let same = earlier.arrival.lane_id() == Some(lane);
            let alone = earlier.queued && !self.stream.holds(earlier.arrival.sequence, to);
            assert!(!same || !alone, "parked before {earlier:?}");
        }
    }

    /// Nothing that could go out is kept waiting: the first unsettled delivery of each lane that was
    /// given, did not fail, and whose destination is enabled, is on its way.
    pub(crate) fn check_nothing_waits(&self) {
        let mut seen = HashSet::new();
        for (index, message) in self.messages.iter().enumerate() {
            let arrival = message.arrival;
            let first = arrival
                .lane
                .is_none_or(|lane| message.end.is_some() || seen.insert((arrival.destination, lane)));
            let taken_over =
                arrival.lane.is_some() && index < self.taken_over_at && self.now < self.not_before;
            let known = message.given || self.stream.holds_any(arrival.sequence);
            let waits = |lane: LaneId| self.touched.contains(&lane) || self.held.contains(&lane);
            let touched = arrival.lane_id().is_none_or(waits);
            let free = !touched
                && first
                && self.caught_up
                && known
                && message.end.is_none()
                && !message.failed
                && !self.is_told_paused(&arrival)
                && !taken_over;
            if free && self.enabled[&arrival.destination] {
                let sending = self.sends.iter().any(|send| self.index_at(send.place) == index);
                let settling = self
                    .settles
                    .iter()
                    .any(|settle| self.index_at(settle.place) == index);
                let parked = self.stream.holds_any(arrival.sequence);
                let appending = self
                    .appends_under_way()
                    .any(|append| self.index_at(append.place) == index);
                let reads = self.reads.iter().any(|read| match read {
                    WantedRead::Head(lane) => Some(*lane) == arrival.lane_id(),
                    WantedRead::Tier(..) | WantedRead::Find(..) => false,
                });
                let answers = self.answers.iter().any(
                    |answer| matches!(answer, Input::HeadRead(lane, _) if Some(*lane) == arrival.lane_id()),
                );
                // What is settled out of turn may hold up an append.
                let leaves = self.settles.iter().any(|settle| {
                    self.messages[self.index_at(settle.place)].arrival.lane_id() == arrival.lane_id()
                });
                let reading = reads || answers || arrival.lane.is_some() && leaves;
                let waits_in_tier = arrival.lane.is_none() && (parked || appending);
                assert!(
                    sending || settling || reading || waits_in_tier || appending && arrival.lane.is_some(),
                    "{index} waits for nothing: {message:?}"
                );
            }
        }
    }

    /// Its route is paused: an unordered delivery waits, and the journal was told of a lane's head that does.
    fn is_told_paused(&self, arrival: &Arrival) -> bool {
        let paused = arrival.route.is_some_and(|route| self.paused.contains(&route));
        paused && (arrival.lane.is_none() || self.told_paused.contains(&arrival.delivery))
    }

    /// An answer is given once, and only when its effect survives a takeover.
    pub(super) fn check_answer(&mut self, command: CommandId, answer: CommandAnswer) {
        let asked = &mut self.asked[command.0 as usize];
        assert!(asked.answer.is_none(), "answered twice: {asked:?}");
        asked.answer = Some(answer);
        let Asked { verb, target, .. } = *asked;
        let of_target: Vec<usize> = (0..self.messages.len())
            .filter(|index| self.messages[*index].arrival.delivery == target.delivery)
            .collect();
        match (verb, answer) {
            (Verb::Cancel, CommandAnswer::Done) => {
                let ended = |index: &usize| matches!(self.messages[*index].end, Some(End::Cancelled(_)));
                assert!(
                    of_target.iter().any(ended),
                    "cancelled is not: {asked:?}",
                    asked = self.asked[command.0 as usize]
                );
            }
            (Verb::Skip, CommandAnswer::Done) => {
                let ended = |index: &usize| matches!(self.messages[*index].end, Some(End::Dead(_)));
                assert!(of_target.iter().any(ended), "skipped is not dead");
            }
            (Verb::Retry, CommandAnswer::Done) => {
                // One that a person held meanwhile waits for the next word.
                let held = target.lane_id().is_some_and(|lane| self.touched.contains(&lane));
                let may = held || of_target.iter().any(|index| self.is_due_after_takeover(*index));
                assert!(
                    may,
                    "a retry that a takeover forgets: {:?}, parked {:?}",
                    of_target
                        .iter()
                        .map(|index| &self.messages[*index])
                        .collect::<Vec<_>>(),
                    self.stream.found()
                );
            }
            _ => {}
        }
    }

    /// Whether a new owner would send the message as soon as its turn comes.
    pub(super) fn is_due_after_takeover(&self, index: usize) -> bool {
        let message = &self.messages[index];
        let in_flight = self.sends.iter().any(|send| self.index_at(send.place) == index);
        let settling = self
            .settles
            .iter()
            .any(|settle| settle.end != End::Moved && self.index_at(settle.place) == index);
        let due = self.stream.due_at(message.arrival.sequence);
        // An unordered one is sent from the queue too.
        let queued = message.queued && message.arrival.lane.is_none();
        in_flight
            || settling
            || queued
            || message.end.is_some()
            || due.is_none_or(|(at, held)| at <= self.now && !held)
    }
}
