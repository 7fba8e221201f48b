//! Callers that wait for a delivery's answer, each rule by a short story.

use hookrail_domain::{
    delivery::ErrorCode,
    destination::{OnDead, RetryPolicy},
    ids::{DeliveryId, DestinationId},
    lane::{
        Action, Arrival, AttemptId, Caller, DestinationRules, End, Input, LaneKey, Limits, Parking,
        PartitionLanes, Place, Takeover,
    },
    retry::AttemptResult,
};

const DESTINATION: DestinationId = DestinationId::from_u128(7);
/// Until when the callers of these stories wait, and until when an answer is wanted.
const WAITS_UNTIL: i64 = 1_500;
const DEADLINE: i64 = 4_000;

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

struct Story {
    engine: PartitionLanes,
    actions: Vec<Action>,
}

impl Story {
    fn with(rules: DestinationRules, parking: Parking) -> Self {
        let engine = PartitionLanes::new(Limits::default(), parking, Takeover::default(), 0);
        let actions = Vec::new();
        let mut story = Self { engine, actions };
        story.at(0, Input::Destination(DESTINATION, Some(Box::new(rules))));
        story
    }

    fn at(&mut self, now: i64, input: Input) -> &mut Self {
        self.actions.clear();
        self.engine.apply(now, input, &mut self.actions);
        self
    }

    fn ends(&mut self, now: i64, attempt: u64, result: AttemptResult) -> &mut Self {
        let (attempt, jitter) = (AttemptId(attempt), 0.0);
        let finished = Input::AttemptFinished {
            attempt,
            result,
            jitter,
        };
        self.at(now, finished)
    }

    /// The deliveries whose callers were told.
    fn told(&self) -> Vec<u128> {
        let told = self.actions.iter().filter_map(|action| match action {
            Action::CallerInVain { delivery, .. } => Some(delivery.as_u128()),
            _ => None,
        });
        told.collect()
    }

    fn ended(&self) -> Vec<End> {
        let ended = self.actions.iter().filter_map(|action| match action {
            Action::Settle(settle) => Some(settle.end),
            _ => None,
        });
        ended.collect()
    }
}

fn arrival(sequence: u64, in_lane: bool, calls: bool) -> Input {
    Input::Arrived(Arrival {
        sequence,
        delivery: DeliveryId::from_u128(u128::from(sequence)),
        destination: DESTINATION,
        lane: in_lane.then_some(LaneKey::from_u64(9)),
        route: None,
        origin: None,
        caller: calls.then_some(Caller {
            deadline: DEADLINE,
            waits_until: WAITS_UNTIL,
            drop_late: false,
        }),
        bytes: 100,
    })
}

const FAILED: AttemptResult = AttemptResult::Answered {
    status: 503,
    retry_after_ms: None,
};
const UNREACHABLE: AttemptResult = AttemptResult::Failed(ErrorCode::Connect);

#[test]
fn callers_behind_a_head_that_waits_longer_than_they_do_are_told_at_once() {
    for parking in [Parking::Off, Parking::On] {
        let mut story = Story::with(rules(), parking);
        story.at(0, arrival(1, true, false));
        assert_eq!(
            story.at(0, arrival(2, true, true)).told(),
            [],
            "its head is being sent"
        );
        assert_eq!(story.at(0, arrival(3, true, false)).told(), []);
        // The head is tried again at 1,100: in time for the caller.
        assert_eq!(story.ends(100, 0, FAILED).told(), []);
        story.at(1_100, Input::Tick);
        // And then at 3,200: too late.
        let told = story.ends(1_200, 1, FAILED).told();
        match parking {
            Parking::Off => assert_eq!(told, [2]),
            // It lies in the parked stream, or is on its way there.
            Parking::On => assert!(told.is_empty() || told == [2]),
        }
        assert_eq!(
            story.at(1_300, arrival(4, true, true)).told(),
            [4],
            "who comes later too"
        );
        assert_eq!(story.at(1_400, arrival(5, true, false)).told(), [], "no caller");
        assert_eq!(
            story.at(1_500, arrival(6, true, true)).told(),
            [],
            "its caller has gone"
        );
    }
}

#[test]
fn callers_behind_a_head_that_waits_for_a_person_are_told() {
    let holding = DestinationRules {
        on_dead: OnDead::Hold,
        ..rules()
    };
    let refused = AttemptResult::Answered {
        status: 422,
        retry_after_ms: None,
    };
    let mut story = Story::with(holding, Parking::On);
    story.at(0, arrival(1, true, false)).at(0, arrival(2, true, true));
    assert_eq!(story.ends(100, 0, refused).told(), [2]);
    assert_eq!(story.at(200, arrival(3, true, true)).told(), [3]);
}

#[test]
fn callers_of_a_disabled_destination_are_told() {
    for in_lane in [true, false] {
        let disabled = DestinationRules {
            enabled: false,
            ..rules()
        };
        let mut story = Story::with(disabled, Parking::On);
        assert_eq!(
            story.at(0, arrival(1, in_lane, true)).told(),
            [1],
            "in a lane: {in_lane}"
        );
    }
}

#[test]
fn only_who_can_not_be_reached_is_tried_again_and_only_until_the_deadline() {
    for in_lane in [true, false] {
        let mut story = Story::with(rules(), Parking::Off);
        story.at(0, arrival(1, in_lane, true));
        assert_eq!(story.ends(100, 0, UNREACHABLE).ended(), []);
        story.at(1_100, Input::Tick);
        let again = story.ends(1_200, 1, UNREACHABLE);
        assert_eq!((again.ended(), again.told()), (vec![], vec![1]), "tried at 3,200");
        story.at(3_200, Input::Tick);
        let dead = [End::Dead(ErrorCode::Connect)];
        assert_eq!(
            story.ends(3_300, 2, UNREACHABLE).ended(),
            dead,
            "4,000 ms more is too late"
        );
    }
    for (result, end) in [
        (FAILED, End::Dead(ErrorCode::Status)),
        (
            AttemptResult::Failed(ErrorCode::Timeout),
            End::Dead(ErrorCode::Timeout),
        ),
    ] {
        let mut story = Story::with(rules(), Parking::On);
        story.at(0, arrival(1, true, true)).at(0, arrival(2, true, false));
        assert_eq!(story.ends(100, 0, result).ended(), [end]);
        let next = story.at(101, Input::Settled(Place::Queue(1)));
        let sent = next
            .actions
            .iter()
            .any(|action| matches!(action, Action::Send(_)));
        assert!(sent, "its lane goes on");
    }
}
