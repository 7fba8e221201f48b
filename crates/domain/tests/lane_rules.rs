//! Single rules of the order engine, each by a short story.

use hookrail_domain::{
    circuit::CircuitState,
    delivery::ErrorCode,
    destination::{OnDead, RetryPolicy},
    ids::{DeliveryId, DestinationId},
    lane::{
        Action, Arrival, AttemptId, Caller, Command, CommandAnswer, CommandId, DestinationRules, End, Input,
        LaneId, LaneKey, Limits, Parking, PartitionLanes, Place, RateRule, Takeover, Target, Verb,
    },
    retry::AttemptResult,
    short_id::ShortId,
};

const DESTINATION: DestinationId = DestinationId::from_u128(7);
const LANE: LaneId = LaneId {
    destination: DESTINATION,
    key: LaneKey::from_u64(9),
};

fn rules() -> DestinationRules {
    let retry = RetryPolicy {
        initial_ms: 1_000,
        multiplier: 2.0,
        max_ms: 60_000,
        jitter: 0.0,
        give_up_after_ms: None,
        max_attempts: None,
        permanent_statuses: vec![422],
    };
    DestinationRules {
        enabled: true,
        max_in_flight: 32,
        rate: None,
        retry,
        on_dead: OnDead::Continue,
        parked_bytes: u64::MAX,
    }
}

fn arrival(sequence: u64, lane: Option<LaneKey>) -> Arrival {
    Arrival {
        sequence,
        delivery: DeliveryId::from_u128(u128::from(sequence)),
        destination: DESTINATION,
        lane,
        route: None,
        origin: None,
        caller: None,
        bytes: 100,
    }
}

fn of_lane(delivery: u64) -> Target {
    Target {
        delivery: DeliveryId::from_u128(u128::from(delivery)),
        destination: DESTINATION,
        lane: Some(LANE.key),
    }
}

fn in_lane(sequence: u64) -> Input {
    Input::Arrived(arrival(sequence, Some(LANE.key)))
}

fn alone(sequence: u64) -> Input {
    Input::Arrived(arrival(sequence, None))
}

/// An engine and what it asked for last.
struct Story {
    engine: PartitionLanes,
    actions: Vec<Action>,
}

impl Story {
    fn with(rules: DestinationRules) -> Self {
        let engine = PartitionLanes::new(Limits::default(), Parking::Off, Takeover::default(), 0);
        let mut story = Self {
            engine,
            actions: Vec::new(),
        };
        story.at(0, Input::Destination(DESTINATION, Some(Box::new(rules))));
        story
    }

    fn at(&mut self, now: i64, input: Input) -> &mut Self {
        self.actions.clear();
        self.engine.apply(now, input, &mut self.actions);
        self
    }

    fn answer(&mut self, now: i64, attempt: u64, status: u16) -> &mut Self {
        let result = AttemptResult::Answered {
            status,
            retry_after_ms: None,
        };
        self.at(
            now,
            Input::AttemptFinished {
                attempt: AttemptId(attempt),
                result,
                jitter: 0.0,
            },
        )
    }

    fn command(&mut self, now: i64, verb: Verb, target: Target) -> Option<CommandAnswer> {
        self.at(
            now,
            Input::Command(Command {
                id: CommandId(1),
                verb,
                target,
            }),
        );
        self.answered()
    }

    fn answered(&self) -> Option<CommandAnswer> {
        let mut answers = self.actions.iter().filter_map(|action| match action {
            Action::Answer { answer, .. } => Some(*answer),
            _ => None,
        });
        answers.next_back()
    }

    fn sent(&self) -> Vec<(u64, u32)> {
        let sends = self.actions.iter().filter_map(|action| match action {
            Action::Send(send) => Some((send.delivery.as_u128() as u64, send.number)),
            _ => None,
        });
        sends.collect()
    }

    fn ended(&self) -> Vec<(u64, End)> {
        let ends = self.actions.iter().filter_map(|action| match action {
            Action::Settle(settle) => Some((settle.delivery.as_u128() as u64, settle.end)),
            _ => None,
        });
        ends.collect()
    }
}

#[test]
fn the_next_of_a_lane_goes_out_when_the_first_is_settled_and_not_before() {
    let mut story = Story::with(rules());
    assert_eq!(story.at(0, in_lane(1)).sent(), [(1, 1)]);
    assert_eq!(story.at(0, in_lane(2)).sent(), []);
    assert_eq!(story.answer(5, 0, 204).ended(), [(1, End::Delivered)]);
    assert_eq!(story.sent(), []);
    assert_eq!(story.at(6, Input::Settled(Place::Queue(1))).sent(), [(2, 1)]);
    assert!(!story.engine.holds(1) && story.engine.holds(2));
}

#[test]
fn a_failed_head_waits_for_its_time_while_the_unordered_go_on() {
    let mut story = Story::with(rules());
    story.at(0, in_lane(1)).at(0, in_lane(2)).answer(10, 0, 500);
    assert_eq!(story.engine.next_wake(), Some(1_010));
    assert_eq!(story.at(500, alone(3)).sent(), [(3, 1)]);
    assert_eq!(story.at(1_009, Input::Tick).sent(), []);
    assert_eq!(story.at(1_010, Input::Tick).sent(), [(1, 2)]);
}

#[test]
fn a_dead_head_lets_the_lane_go_on_or_holds_it_as_the_destination_says() {
    let mut story = Story::with(rules());
    story.at(0, in_lane(1)).at(0, in_lane(2));
    assert_eq!(
        story.answer(1, 0, 422).ended(),
        [(1, End::Dead(ErrorCode::Status))]
    );
    assert_eq!(story.at(2, Input::Settled(Place::Queue(1))).sent(), [(2, 1)]);

    let mut story = Story::with(DestinationRules {
        on_dead: OnDead::Hold,
        ..rules()
    });
    story.at(0, in_lane(1)).at(0, in_lane(2));
    assert_eq!(story.answer(1, 0, 422).ended(), []);
    assert_eq!(story.engine.next_wake(), None);
    let done = Some(CommandAnswer::Done);
    assert_eq!(story.command(2, Verb::Retry, of_lane(1)), done);
    assert_eq!(story.sent(), [(1, 2)]);
    assert_eq!(
        story.command(2, Verb::Skip, of_lane(1)),
        Some(CommandAnswer::Busy)
    );
    story.answer(3, 1, 422);
    assert_eq!(story.command(4, Verb::Skip, of_lane(1)), None);
    assert_eq!(story.ended().len(), 1);
    assert_eq!(story.at(5, Input::Settled(Place::Queue(1))).answered(), done);
    assert_eq!(story.sent(), [(2, 1)]);
}

#[test]
fn a_waiting_delivery_can_be_cancelled_at_the_head_and_behind_it() {
    let mut story = Story::with(rules());
    story
        .at(0, in_lane(1))
        .at(0, in_lane(2))
        .at(0, in_lane(3))
        .answer(1, 0, 500);
    let (done, cancelled) = (Some(CommandAnswer::Done), End::Cancelled(ErrorCode::Cancelled));
    assert_eq!(
        story.command(2, Verb::Retry, of_lane(2)),
        Some(CommandAnswer::NotHead)
    );
    assert_eq!(story.command(2, Verb::Cancel, of_lane(2)), None);
    assert_eq!(story.ended(), [(2, cancelled)]);
    assert_eq!(story.command(2, Verb::Cancel, of_lane(1)), None);
    assert_eq!(story.ended(), [(1, cancelled)]);
    assert_eq!(story.at(3, Input::Settled(Place::Queue(1))).answered(), done);
    assert_eq!(
        story.sent(),
        [],
        "what is called off must be gone before the next is sent"
    );
    assert_eq!(story.at(4, Input::Settled(Place::Queue(2))).answered(), done);
    assert_eq!(story.sent(), [(3, 1)]);
    assert_eq!(
        story.command(5, Verb::Cancel, of_lane(99)),
        Some(CommandAnswer::NotFound)
    );
}

#[test]
fn of_a_delivery_that_is_cancelled_while_it_is_sent_the_outcome_counts() {
    for (status, end, answer) in [
        (200, End::Delivered, CommandAnswer::Delivered),
        (500, End::Cancelled(ErrorCode::Cancelled), CommandAnswer::Done),
        (422, End::Cancelled(ErrorCode::Cancelled), CommandAnswer::Done),
    ] {
        let mut story = Story::with(DestinationRules {
            on_dead: OnDead::Hold,
            ..rules()
        });
        story.at(0, in_lane(1));
        assert_eq!(story.command(1, Verb::Cancel, of_lane(1)), None);
        assert_eq!(story.answer(2, 0, status).ended(), [(1, end)], "{status}");
        assert_eq!(
            story.at(3, Input::Settled(Place::Queue(1))).answered(),
            Some(answer),
            "{status}"
        );
    }
}

#[test]
fn a_share_that_changes_counts_from_the_next_attempt_on() {
    let mut story = Story::with(rules());
    let attempts = RateRule {
        per_second: 1_000.0,
        burst: 1_000.0,
    };
    story.at(
        0,
        Input::Share {
            in_flight: 1,
            attempts,
        },
    );
    assert_eq!(story.at(0, alone(1)).sent(), [(1, 1)]);
    assert_eq!(story.at(0, alone(2)).sent(), []);
    assert_eq!(
        story
            .at(
                0,
                Input::Share {
                    in_flight: 2,
                    attempts
                }
            )
            .sent(),
        [(2, 1)]
    );
}

#[test]
fn a_retry_of_a_person_probes_an_open_circuit_at_once() {
    let mut story = Story::with(rules());
    for sequence in 1..=20 {
        story.at(0, alone(sequence));
    }
    for attempt in 0..20 {
        story.answer(1, attempt, 503);
    }
    let first = Target {
        lane: None,
        ..of_lane(1)
    };
    assert_eq!(story.command(5, Verb::Retry, first), Some(CommandAnswer::Done));
    assert_eq!(story.sent(), [(1, 2)]);
}

#[test]
fn gone_disables_the_destination_until_it_is_enabled_again() {
    let mut story = Story::with(rules());
    story.at(0, in_lane(1)).answer(1, 0, 410);
    assert!(
        story
            .actions
            .iter()
            .any(|action| matches!(action, Action::DestinationGone { .. }))
    );
    assert_eq!(story.at(99_999, alone(2)).sent(), []);
    let mut sent = story
        .at(100_000, Input::Destination(DESTINATION, Some(Box::new(rules()))))
        .sent();
    sent.sort_unstable();
    assert_eq!(sent, [(1, 2), (2, 1)]);
}

#[test]
fn deleting_a_destination_cancels_all_that_waits_for_it() {
    let mut story = Story::with(rules());
    story.at(0, in_lane(1)).at(0, in_lane(2)).answer(1, 0, 500);
    story.at(1, alone(3));
    let cancelled = End::Cancelled(ErrorCode::Cancelled);
    assert_eq!(
        story.at(2, Input::Destination(DESTINATION, None)).ended(),
        [(1, cancelled)]
    );
    assert_eq!(
        story.at(3, Input::Settled(Place::Queue(1))).ended(),
        [(2, cancelled)]
    );
    assert_eq!(story.answer(4, 1, 200).ended(), [(3, End::Delivered)]);
    assert_eq!(story.at(5, alone(4)).ended(), [(4, cancelled)]);
}

#[test]
fn a_rate_lets_out_its_burst_and_then_one_at_a_time() {
    let rate = Some(RateRule {
        per_second: 2.0,
        burst: 2.0,
    });
    let mut story = Story::with(DestinationRules { rate, ..rules() });
    let sent: usize = (1..=4)
        .map(|sequence| story.at(0, alone(sequence)).sent().len())
        .sum();
    assert_eq!(sent, 2);
    assert_eq!(story.engine.next_wake(), Some(500));
    assert_eq!(story.at(500, Input::Tick).sent(), [(3, 1)]);
}

#[test]
fn the_most_in_flight_is_never_passed_and_a_completion_wakes_the_next_at_once() {
    let mut story = Story::with(DestinationRules {
        max_in_flight: 2,
        ..rules()
    });
    let sent: usize = (1..=5)
        .map(|sequence| story.at(0, alone(sequence)).sent().len())
        .sum();
    assert_eq!(sent, 2);
    assert_eq!(story.answer(1, 0, 200).sent(), [(3, 1)]);
}

#[test]
fn an_open_circuit_lets_one_probe_out_until_it_succeeds() {
    let mut story = Story::with(rules());
    for sequence in 1..=20 {
        story.at(0, alone(sequence));
    }
    for attempt in 0..20 {
        story.answer(1, attempt, 503);
    }
    assert_eq!(
        story.engine.circuit(DESTINATION),
        Some(CircuitState::Open { probe_at: 1_001 })
    );
    assert_eq!(story.at(2, alone(21)).sent(), []);
    assert_eq!(story.at(1_001, Input::Tick).sent(), [(21, 1)]);
    assert_eq!(story.answer(1_002, 20, 200).sent().len(), 20);
}

#[test]
fn a_caller_s_delivery_is_settled_by_the_first_answer_and_expires_unsent() {
    let mut story = Story::with(DestinationRules {
        on_dead: OnDead::Hold,
        max_in_flight: 1,
        ..rules()
    });
    let respond = |sequence| Arrival {
        caller: Some(Caller {
            deadline: 100,
            waits_until: 100,
            drop_late: true,
        }),
        ..arrival(sequence, Some(LANE.key))
    };
    story
        .at(0, Input::Arrived(respond(1)))
        .at(0, Input::Arrived(respond(2)));
    assert_eq!(
        story.answer(1, 0, 503).ended(),
        [(1, End::Dead(ErrorCode::Status))]
    );
    let late = story.at(101, Input::Settled(Place::Queue(1)));
    assert_eq!(late.ended(), [(2, End::Cancelled(ErrorCode::Expired))]);
}

#[test]
fn after_an_unclean_takeover_lanes_wait_that_may_have_been_in_hand() {
    let takeover = Takeover {
        delivered: 5,
        not_before: 15_000,
    };
    let engine = PartitionLanes::new(Limits::default(), Parking::Off, takeover, 0);
    let mut story = Story {
        engine,
        actions: Vec::new(),
    };
    story.at(0, Input::Destination(DESTINATION, Some(Box::new(rules()))));
    assert_eq!(story.at(0, in_lane(5)).sent(), []);
    assert_eq!(story.at(0, alone(4)).sent(), [(4, 1)]);
    let other = Input::Arrived(arrival(6, Some(LaneKey::from_u64(1))));
    assert_eq!(story.at(0, other).sent(), [(6, 1)]);
    assert_eq!(story.at(15_000, Input::Tick).sent(), [(5, 1)]);
}

#[test]
fn draining_begins_nothing_and_ends_when_all_in_flight_is_settled() {
    let mut story = Story::with(rules());
    story.at(0, in_lane(1)).at(0, in_lane(2)).at(1, Input::Drain);
    assert!(!story.engine.is_drained());
    assert_eq!(story.answer(2, 0, 200).ended(), [(1, End::Delivered)]);
    assert_eq!(story.at(3, Input::Settled(Place::Queue(1))).sent(), []);
    assert!(story.engine.is_drained());
}

/// A lane whose head failed, with room for so many parked bytes.
fn failing(parked_bytes: u64) -> Story {
    let rules = DestinationRules {
        parked_bytes,
        ..rules()
    };
    let engine = PartitionLanes::new(Limits::default(), Parking::On, Takeover::default(), 0);
    let actions = Vec::new();
    let mut story = Story { engine, actions };
    story.at(0, Input::Destination(DESTINATION, Some(Box::new(rules))));
    story.at(0, in_lane(1)).answer(1, 0, 503);
    story
}

impl Story {
    /// Deliveries that the last input settled as dead for want of room.
    fn turned_away(&self) -> Vec<u64> {
        let settled = self.actions.iter().filter_map(|action| match action {
            Action::Settle(settle) if settle.end == End::Dead(ErrorCode::OverQuota) => {
                Some(settle.delivery.as_u128() as u64)
            }
            _ => None,
        });
        settled.collect()
    }

    fn told(&self) -> usize {
        let told = |action: &&Action| matches!(action, Action::OverQuota { .. });
        self.actions.iter().filter(told).count()
    }
}

#[test]
fn what_finds_no_room_is_dead_and_its_destination_is_told_of_once() {
    let mut story = failing(150);
    assert_eq!((story.turned_away(), story.told()), (vec![], 0));
    story.at(
        2,
        Input::Appended {
            place: Place::Queue(1),
            parked: 1,
        },
    );
    story.at(3, Input::Settled(Place::Queue(1)));
    story.at(4, in_lane(2));
    assert_eq!((story.turned_away(), story.told()), (vec![2], 1));
    story.at(5, in_lane(3));
    let behind = story.turned_away();
    assert!(behind.is_empty(), "one after another, so that nothing overtakes");
    story.at(6, Input::Settled(Place::Queue(2)));
    assert_eq!((story.turned_away(), story.told()), (vec![3], 0));
}

#[test]
fn a_head_that_failed_and_finds_no_room_is_dead_and_its_lane_goes_on() {
    let mut story = failing(50);
    assert_eq!((story.turned_away(), story.told()), (vec![1], 1));
    story.at(2, Input::Settled(Place::Queue(1)));
    story.at(3, in_lane(2));
    assert_eq!(story.sent(), [(2, 1)]);
}

#[test]
fn a_head_that_a_person_is_to_decide_on_waits_though_there_is_no_room() {
    let mut story = failing(50);
    story.at(2, Input::Settled(Place::Queue(1)));
    story.at(3, in_lane(2)).at(4, in_lane(3));
    story.answer(5, 1, 200).at(6, Input::Settled(Place::Queue(2)));
    story.answer(7, 2, 503);
    assert_eq!(story.turned_away(), [3]);
    story.at(8, Input::Settled(Place::Queue(3)));
    let rules = DestinationRules {
        parked_bytes: 50,
        on_dead: OnDead::Hold,
        ..rules()
    };
    story.at(9, Input::Destination(DESTINATION, Some(Box::new(rules))));
    story.at(10, in_lane(4)).answer(11, 3, 422);
    assert!(story.turned_away().is_empty());
    let parked = |action: &Action| {
        matches!(
            action,
            Action::Append {
                place: Place::Queue(4),
                ..
            }
        )
    };
    assert!(story.actions.iter().any(parked), "{:?}", story.actions);
}

#[test]
fn what_came_by_a_paused_route_waits_alone_or_keeps_its_lane_waiting() {
    let route = ShortId::of(3);
    let by_route = |sequence, lane: Option<LaneKey>| {
        Input::Arrived(Arrival {
            route: Some(route),
            ..arrival(sequence, lane)
        })
    };
    let mut story = Story::with(rules());
    story.at(0, Input::PausedRoutes([route].into()));
    assert_eq!(story.at(0, by_route(1, Some(LANE.key))).sent(), []);
    assert_eq!(story.at(0, in_lane(2)).sent(), [], "it waits behind the head");
    assert_eq!(story.at(0, by_route(3, None)).sent(), []);
    assert_eq!(story.at(0, alone(4)).sent(), [(4, 1)]);
    assert_eq!(story.engine.next_wake(), None, "nothing but a change wakes them");
    story.at(9, Input::PausedRoutes([ShortId::of(4)].into()));
    assert_eq!(story.sent(), [(1, 1), (3, 1)]);
}

#[test]
fn what_is_about_to_be_sent_again_waits_too_and_a_person_may_send_it_all_the_same() {
    let route = ShortId::of(3);
    let mut story = Story::with(rules());
    let first = Arrival {
        route: Some(route),
        ..arrival(1, Some(LANE.key))
    };
    assert_eq!(story.at(0, Input::Arrived(first)).sent(), [(1, 1)]);
    story.at(1, Input::PausedRoutes([route].into()));
    story.answer(10, 0, 500);
    assert_eq!(story.at(1_010, Input::Tick).sent(), []);
    assert_eq!(story.engine.next_wake(), None);
    let done = Some(CommandAnswer::Done);
    assert_eq!(story.command(2_000, Verb::Retry, of_lane(1)), done);
    assert_eq!(story.sent(), [(1, 2)]);
    story.answer(2_010, 1, 500);
    assert_eq!(story.at(100_000, Input::Tick).sent(), [], "once");
    assert_eq!(story.command(100_001, Verb::Cancel, of_lane(1)), None);
    assert_eq!(story.ended(), [(1, End::Cancelled(ErrorCode::Cancelled))]);
}
