//! Which deliveries of a busy destination stay in the queue, and which are put aside.

use hookrail_domain::{
    destination::{OnDead, RetryPolicy},
    ids::{DeliveryId, DestinationId},
    lane::{Action, Arrival, DestinationRules, Input, Limits, Parking, PartitionLanes, Takeover},
    retry::AttemptResult,
};

const DESTINATION: DestinationId = DestinationId::from_u128(7);

/// A destination with two slots, of which deliveries come faster than they go.
struct Busy {
    engine: PartitionLanes,
    next: u64,
    sent: Vec<Action>,
    appended: usize,
}

impl Busy {
    fn new() -> Self {
        let limits = Limits {
            destination_waiting: 4,
            destination_held: 40,
            ..Limits::default()
        };
        let mut busy = Self {
            engine: PartitionLanes::new(limits, Parking::On, Takeover::default(), 0),
            next: 1,
            sent: Vec::new(),
            appended: 0,
        };
        let rules = DestinationRules {
            enabled: true,
            max_in_flight: 2,
            rate: None,
            retry: RetryPolicy::default(),
            on_dead: OnDead::Continue,
            parked_bytes: u64::MAX,
        };
        busy.give(0, Input::Destination(DESTINATION, Some(Box::new(rules))));
        busy
    }

    fn give(&mut self, now: i64, input: Input) {
        let mut actions = Vec::new();
        self.engine.apply(now, input, &mut actions);
        for action in actions {
            match action {
                Action::Send(_) => self.sent.push(action),
                Action::Append { .. } => self.appended += 1,
                Action::Settle(settle) => self.give(now, Input::Settled(settle.place)),
                _ => {}
            }
        }
    }

    fn arrive(&mut self, now: i64) {
        let sequence = self.next;
        self.next += 1;
        let arrival = Arrival {
            sequence,
            delivery: DeliveryId::from_u128(u128::from(sequence)),
            destination: DESTINATION,
            lane: None,
            route: None,
            origin: None,
            caller: None,
            bytes: 100,
        };
        self.give(now, Input::Arrived(arrival));
    }

    fn answer_all(&mut self, now: i64) {
        for action in std::mem::take(&mut self.sent) {
            let Action::Send(send) = action else { continue };
            let result = AttemptResult::Answered {
                status: 204,
                retry_after_ms: None,
            };
            self.give(
                now,
                Input::AttemptFinished {
                    attempt: send.attempt,
                    result,
                    jitter: 0.0,
                },
            );
        }
    }

    /// Answers at once, a hundred times in a hundred milliseconds.
    fn prove_itself(&mut self) {
        for now in 0..100 {
            self.arrive(now);
            self.answer_all(now);
        }
    }
}

#[test]
fn what_waits_for_a_destination_that_settles_fast_stays_in_the_queue_and_the_queue_waits_a_moment() {
    let mut busy = Busy::new();
    busy.prove_itself();
    while busy.engine.wants_more(100) {
        busy.arrive(100);
    }
    assert_eq!((busy.appended, busy.engine.held()), (0, 31));
    busy.answer_all(110);
    assert!(busy.engine.wants_more(110));
}

#[test]
fn a_destination_that_was_never_seen_to_be_fast_has_the_rest_put_aside() {
    let mut busy = Busy::new();
    for _ in 0..20 {
        assert!(busy.engine.wants_more(0));
        busy.arrive(0);
    }
    assert_eq!(busy.appended, 20 - (4 + 2));
}

#[test]
fn a_destination_that_stops_answering_holds_the_queue_up_for_half_a_second_at_most() {
    let mut busy = Busy::new();
    busy.prove_itself();
    while busy.engine.wants_more(100) {
        busy.arrive(100);
    }
    busy.give(499, Input::Tick);
    assert_eq!(busy.appended, 0, "it may still only have much to do");
    // What is too much makes room for others, without anything that has to come.
    busy.give(600, Input::Tick);
    assert_eq!(busy.appended, 31 - (4 + 2));
    assert!(busy.engine.wants_more(600));
}
