//! The deliveries that are in memory, by the place of their message.
//!
//! What lies in the queue un-acked is kept until it is settled: the consumer's `max_ack_pending` bounds
//! it. What was read from the parked stream is kept within a limit, the oldest going first, since it can
//! be read again.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use hookrail_broker::StoredParked;
use hookrail_domain::{delivery::Delivery, lane::Place};

/// Bytes of deliveries read from the parked stream that a partition keeps in memory.
const PARKED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What a delivery takes besides its message's bytes, about.
const OVERHEAD_BYTES: usize = 1024;

/// A delivery, and the sequence that it had in the queue.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) queue_sequence: u64,
}

/// The deliveries of one partition that are in memory.
#[derive(Default)]
pub(crate) struct Bodies {
    queued: HashMap<u64, Arc<Delivery>>,
    parked: HashMap<u64, (Held, usize)>,
    /// Those of the parked stream, oldest first; some are gone already.
    order: VecDeque<u64>,
    parked_bytes: usize,
}

impl Bodies {
    /// Keeps what came from the queue.
    pub(crate) fn keep_queued(&mut self, sequence: u64, delivery: Delivery) {
        self.queued.insert(sequence, Arc::new(delivery));
    }

    /// Keeps what was read from the parked stream, for a while.
    pub(crate) fn keep_parked(&mut self, stored: &StoredParked) {
        self.drop_body(Place::Parked(stored.sequence));
        let held = Held {
            delivery: Arc::clone(&stored.parked.delivery),
            queue_sequence: stored.parked.queue_sequence,
        };
        let bytes = stored.bytes + OVERHEAD_BYTES;
        self.parked.insert(stored.sequence, (held, bytes));
        self.order.push_back(stored.sequence);
        self.parked_bytes += bytes;
        self.make_room();
    }

    pub(crate) fn get(&self, place: Place) -> Option<Held> {
        match place {
            Place::Queue(sequence) => {
                let delivery = Arc::clone(self.queued.get(&sequence)?);
                Some(Held {
                    delivery,
                    queue_sequence: sequence,
                })
            }
            Place::Parked(sequence) => self.parked.get(&sequence).map(|(held, _)| held.clone()),
        }
    }

    /// Lets the delivery go.
    pub(crate) fn drop_body(&mut self, place: Place) {
        match place {
            Place::Queue(sequence) => drop(self.queued.remove(&sequence)),
            Place::Parked(sequence) => {
                let bytes = self.parked.remove(&sequence).map_or(0, |(_, bytes)| bytes);
                self.parked_bytes -= bytes;
            }
        }
    }

    fn make_room(&mut self) {
        while self.parked_bytes > PARKED_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            self.drop_body(Place::Parked(oldest));
        }
        if self.order.len() > 2 * self.parked.len() + 64 {
            self.order.retain(|sequence| self.parked.contains_key(sequence));
        }
    }
}

#[cfg(test)]
mod tests {
    use hookrail_broker::codec::ParkedDelivery;
    use hookrail_domain::{
        event::{Body, Origin},
        ids::{DeliveryId, DestinationId, EventId, WorkspaceId},
        retry::Progress,
    };

    use super::*;

    fn stored(sequence: u64, bytes: usize) -> StoredParked {
        let delivery = Delivery {
            id: DeliveryId::from_u128(u128::from(sequence)),
            event: EventId::from_u128(2),
            event_type: "entity.updated".into(),
            workspace: WorkspaceId::from_u128(3),
            source: None,
            destination: DestinationId::from_u128(5),
            route: None,
            entity: None,
            lane_key: None,
            origin: Origin {
                partition: 0,
                sequence,
                index: 0,
            },
            revision: 1,
            accepted_at: 0,
            content_type: None,
            headers: Vec::new(),
            body: Body::inline(&b"{}"[..]),
            traceparent: String::new(),
            replay: None,
            reply: None,
            generation: 0,
            attempts_before: 0,
            was_held: false,
            fetcher: None,
        };
        let (progress, held) = (Progress::default(), false);
        let parked = ParkedDelivery {
            delivery: Arc::new(delivery),
            queue_sequence: sequence,
            progress,
            held,
        };
        StoredParked {
            sequence,
            bytes,
            parked,
        }
    }

    #[test]
    fn what_was_read_from_the_parked_stream_is_kept_within_a_limit_the_oldest_going_first() {
        let mut bodies = Bodies::default();
        for sequence in 1..=100 {
            bodies.keep_parked(&stored(sequence, PARKED_BYTES_MAX / 10));
        }
        assert!(bodies.parked_bytes <= PARKED_BYTES_MAX);
        assert!(bodies.get(Place::Parked(1)).is_none());
        assert_eq!(
            bodies.get(Place::Parked(100)).map(|held| held.queue_sequence),
            Some(100)
        );
    }

    #[test]
    fn reading_and_dropping_for_ever_takes_no_memory() {
        let mut bodies = Bodies::default();
        for sequence in 1..=10_000 {
            bodies.keep_parked(&stored(sequence, 10));
            bodies.keep_parked(&stored(sequence, 20));
            bodies.drop_body(Place::Parked(sequence));
        }
        assert_eq!((bodies.parked.len(), bodies.parked_bytes), (0, 0));
        assert!(bodies.order.len() <= 66);
    }
}
