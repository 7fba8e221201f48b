//! Which fetches need no call of their own: those of an entity that was asked for again after they were
//! planned, with success. A burst of webhooks about one entity then costs two calls.
//!
//! Goes by the queue's own order, not by clocks: what the queue had before a call began was planned before
//! it, and so was the change that the sender told of. In memory only: what is forgotten is asked for again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use hookrail_domain::{delivery::Delivery, ids::DeliveryId};

/// Lanes that are remembered; when there are more, all are forgotten, and the next calls are made.
const LANES_MAX: usize = 10_000;

/// What one partition remembers. A cheap clone.
#[derive(Clone, Default)]
pub(crate) struct FetchMemory(Arc<Mutex<Remembered>>);

#[derive(Default)]
struct Remembered {
    /// The last sequence of the queue that was seen.
    newest: u64,
    /// By lane: what the queue had when the last successful call began, and whose call that was.
    lanes: HashMap<u64, (u64, DeliveryId)>,
}

impl FetchMemory {
    /// The queue has had this sequence.
    pub(crate) fn seen(&self, sequence: u64) {
        self.with(|remembered| remembered.newest = remembered.newest.max(sequence));
    }

    /// A call begins for what had `sequence` in the queue; gives what the queue has had by now.
    pub(crate) fn begin(&self, sequence: u64) -> u64 {
        self.with(|remembered| remembered.newest.max(sequence))
    }

    /// The call of `delivery`, which began when the queue had had `through`, has its answer in the log.
    pub(crate) fn answered(&self, delivery: &Delivery, through: u64) {
        self.with(|remembered| {
            if remembered.lanes.len() >= LANES_MAX {
                remembered.lanes.clear();
            }
            remembered.lanes.insert(delivery.lane(), (through, delivery.id));
        });
    }

    /// The fetch that has the answer for `delivery`, which had `sequence` in the queue. What a person wants
    /// sent again is.
    pub(crate) fn answered_by(&self, delivery: &Delivery, sequence: u64) -> Option<DeliveryId> {
        delivery.place_in_order()?;
        let found = self.with(|remembered| remembered.lanes.get(&delivery.lane()).copied());
        let (_, by) = found.filter(|(through, _)| sequence <= *through)?;
        (by != delivery.id).then_some(by)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Remembered) -> T) -> T {
        // Nothing in here panics half-way.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use hookrail_domain::{
        event::{Body, Origin},
        fetcher::as_destination,
        ids::{EventId, FetcherId, ReplayId, WorkspaceId},
    };

    use super::*;

    fn fetch(number: u128, key: &str) -> Delivery {
        let fetcher = FetcherId::from_u128(9);
        Delivery {
            id: DeliveryId::from_u128(number),
            event: EventId::from_u128(2),
            event_type: String::new(),
            workspace: WorkspaceId::from_u128(3),
            source: None,
            destination: as_destination(fetcher),
            fetcher: Some(fetcher),
            route: None,
            entity: None,
            lane_key: Some(key.to_owned()),
            origin: Origin {
                partition: 0,
                sequence: 1,
                index: 0,
            },
            revision: 1,
            accepted_at: 0,
            content_type: None,
            headers: Vec::new(),
            body: Body::inline(&b""[..]),
            traceparent: String::new(),
            replay: None,
            reply: None,
            generation: 0,
            attempts_before: 0,
            was_held: false,
        }
    }

    #[test]
    fn what_came_before_a_successful_call_began_needs_none_of_its_own() {
        let memory = FetchMemory::default();
        for sequence in [5, 6, 7] {
            memory.seen(sequence);
        }
        let through = memory.begin(5);
        memory.seen(8);
        memory.answered(&fetch(1, "a"), through);
        let by = |fetch: Delivery, sequence| memory.answered_by(&fetch, sequence).map(|id| id.as_u128());
        assert_eq!(by(fetch(2, "a"), 7), Some(1));
        assert_eq!(by(fetch(3, "a"), 8), None, "it came while the call was made");
        assert_eq!(by(fetch(2, "b"), 7), None, "it is another entity's");
        assert_eq!(by(fetch(1, "a"), 5), None, "it is the call itself, sent again");
        let replayed = Delivery {
            replay: Some(ReplayId::from_u128(1)),
            ..fetch(4, "a")
        };
        assert_eq!(by(replayed, 7), None);
    }

    #[test]
    fn more_lanes_than_are_remembered_cost_calls_and_no_memory() {
        let memory = FetchMemory::default();
        for lane in 0..=LANES_MAX {
            memory.answered(&fetch(1, &lane.to_string()), 10);
        }
        let remembered = memory.with(|remembered| remembered.lanes.len());
        assert_eq!(remembered, 1);
    }
}
