//! The parked stream of the world: messages by subject, and lane states.

use std::collections::BTreeMap;

use hookrail_domain::{
    Millis,
    lane::{
        Arrival, FoundLane, HoldReason, LaneId, LaneState, ParkedMessage, ParkedSet, ParkedSubject, Search,
        Target,
    },
    retry::Progress,
};

struct Record {
    subject: ParkedSubject,
    message: ParkedMessage,
    /// Which of the world's messages it is.
    index: usize,
    live: bool,
}

#[derive(Default)]
pub(super) struct ParkedStream {
    records: Vec<Record>,
    states: BTreeMap<LaneId, (LaneState, u64)>,
    states_written: u64,
}

impl ParkedStream {
    pub(super) fn append(
        &mut self,
        index: usize,
        arrival: Arrival,
        subject: ParkedSubject,
        progress: Progress,
        held: bool,
    ) -> u64 {
        let parked = self.records.len() as u64 + 1;
        let message = ParkedMessage {
            parked,
            arrival,
            progress,
            held,
        };
        self.records.push(Record {
            subject,
            message,
            index,
            live: true,
        });
        parked
    }

    pub(super) fn index(&self, parked: u64) -> usize {
        self.records[parked as usize - 1].index
    }

    pub(super) fn delete(&mut self, parked: u64) {
        self.records[parked as usize - 1].live = false;
    }

    fn live(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.records.iter().filter(|record| record.live)
    }

    pub(super) fn holds(&self, sequence: u64, subject: ParkedSubject) -> bool {
        self.live()
            .any(|record| record.subject == subject && record.message.arrival.sequence == sequence)
    }

    pub(super) fn holds_any(&self, sequence: u64) -> bool {
        self.live()
            .any(|record| record.message.arrival.sequence == sequence)
    }

    /// When the first live copy of a message is due by what is on disk, and whether it waits for a person.
    pub(super) fn due_at(&self, sequence: u64) -> Option<(Millis, bool)> {
        let copies = self
            .live()
            .filter(|record| record.message.arrival.sequence == sequence);
        let due = |record: &Record| {
            let state = match record.subject {
                ParkedSubject::Lane(lane) => self.states.get(&lane).map(|(state, _)| state),
                ParkedSubject::Tier(..) => None,
            };
            let message = &record.message;
            match state.filter(|state| state.delivery == message.arrival.delivery) {
                Some(state) => (state.progress.next_at, state.reason == HoldReason::Held),
                None => (message.progress.next_at, message.held),
            }
        };
        copies.map(due).min()
    }

    /// A delivery in its lane or in a tier of its destination.
    pub(super) fn find(&self, target: Target) -> Search {
        let meant = |record: &&Record| {
            let arrival = &record.message.arrival;
            let of = (arrival.delivery, arrival.destination, arrival.lane);
            of == (target.delivery, target.destination, target.lane)
        };
        match self.live().find(meant) {
            Some(record) => Search::Here(record.subject, Box::new(record.message)),
            None => Search::Nowhere,
        }
    }

    pub(super) fn messages(&self, subject: ParkedSubject, after: u64, most: usize) -> Vec<ParkedMessage> {
        let of_subject = self.live().filter(|record| record.subject == subject);
        of_subject
            .map(|record| record.message)
            .filter(|message| message.parked > after)
            .take(most)
            .collect()
    }

    pub(super) fn write_state(&mut self, lane: LaneId, state: LaneState) -> u64 {
        self.states_written += 1;
        self.states.insert(lane, (state, self.states_written));
        self.states_written
    }

    pub(super) fn delete_state(&mut self, lane: LaneId, at: u64) {
        if self.states.get(&lane).is_some_and(|(_, written)| *written == at) {
            self.states.remove(&lane);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.states.is_empty() && self.live().next().is_none()
    }

    /// What a takeover finds.
    pub(super) fn found(&self) -> ParkedSet {
        let mut counts: BTreeMap<ParkedSubject, (u64, u64)> = BTreeMap::new();
        for record in self.live() {
            let (count, last) = counts.entry(record.subject).or_default();
            *count += 1;
            *last = record.message.arrival.sequence;
        }
        // A lane state may outlive its lane's last message.
        for lane in self.states.keys() {
            counts.entry(ParkedSubject::Lane(*lane)).or_default();
        }
        let mut set = ParkedSet {
            mean_bytes: 1_000,
            ..ParkedSet::default()
        };
        for (subject, (count, last_sequence)) in counts {
            match subject {
                ParkedSubject::Lane(lane) => {
                    let state = self.states.get(&lane).copied();
                    set.lanes.push(FoundLane {
                        lane,
                        count,
                        last_sequence,
                        state,
                    });
                }
                ParkedSubject::Tier(destination, tier) => set.tiers.push((destination, tier, count)),
            }
        }
        set
    }
}
