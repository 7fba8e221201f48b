//! The order engine against its promises, under random operations.

mod lane_world;

use hookrail_domain::{
    circuit::CircuitRule,
    lane::{Limits, Parking, RateRule, Verb},
};
use lane_world::{Append, ROUTES, Reply, World, destination};
use proptest::{collection::vec, option, prelude::*, test_runner::FileFailurePersistence};

/// Destinations and lanes per destination of a run: few, so that they meet often.
const DESTINATIONS: u8 = 2;
const LANES: u8 = 3;

#[derive(Debug, Clone)]
enum Operation {
    Publish {
        destination: u8,
        lane: Option<u8>,
        copy_of: Option<usize>,
    },
    Deliver(usize),
    Redeliver(usize),
    Reply(usize, Reply, f64),
    Confirm(usize),
    Append(usize, Append),
    Read(usize, bool),
    Advance(i64),
    Enable(u8, bool),
    Pause(u64, bool),
    Crash(usize),
    HandOver,
    Command(Verb, usize, bool),
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        6 => Just(Reply::Accept),
        3 => Just(Reply::Fail),
        1 => Just(Reply::TimeOut),
        1 => Just(Reply::Refuse),
        1 => Just(Reply::Gone),
    ]
}

fn append() -> impl Strategy<Value = Append> {
    prop_oneof![
        6 => Just(Append::Confirm),
        2 => Just(Append::ConfirmLater),
        1 => Just(Append::Refuse),
    ]
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        Just(Verb::Retry),
        Just(Verb::Skip),
        Just(Verb::Cancel),
        Just(Verb::Hold)
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let lane = option::weighted(0.75, 0..LANES);
    let copy_of = option::weighted(0.08, any::<usize>());
    prop_oneof![
        8 => (0..DESTINATIONS, lane, copy_of)
            .prop_map(|(destination, lane, copy_of)| Operation::Publish { destination, lane, copy_of }),
        5 => (1usize..40).prop_map(Operation::Deliver),
        1 => any::<usize>().prop_map(Operation::Redeliver),
        8 => (any::<usize>(), reply(), 0.0..1.0f64).prop_map(|(pick, reply, jitter)| Operation::Reply(pick, reply, jitter)),
        8 => any::<usize>().prop_map(Operation::Confirm),
        6 => (any::<usize>(), append()).prop_map(|(pick, how)| Operation::Append(pick, how)),
        5 => (any::<usize>(), prop::bool::weighted(0.3)).prop_map(|(pick, later)| Operation::Read(pick, later)),
        4 => (0i64..20_000).prop_map(Operation::Advance),
        1 => (0..DESTINATIONS, any::<bool>()).prop_map(|(to, enabled)| Operation::Enable(to, enabled)),
        1 => (0..ROUTES, any::<bool>()).prop_map(|(route, paused)| Operation::Pause(route, paused)),
        1 => (0usize..4).prop_map(Operation::Crash),
        1 => Just(Operation::HandOver),
        3 => (verb(), any::<usize>(), any::<bool>()).prop_map(|(verb, pick, lane)| Operation::Command(verb, pick, lane)),
    ]
}

fn run(world: &mut World, operation: &Operation) {
    match *operation {
        Operation::Publish {
            destination: to,
            lane,
            copy_of,
        } => world.publish(destination(to), lane, copy_of),
        Operation::Deliver(count) => world.deliver(count),
        Operation::Redeliver(pick) => world.redeliver(pick),
        Operation::Reply(pick, reply, jitter) => world.reply(pick, reply, jitter),
        Operation::Confirm(pick) => world.confirm(pick),
        Operation::Append(pick, how) => world.append(pick, how),
        Operation::Read(pick, later) => world.read(pick, later),
        Operation::Advance(ms) => world.advance(ms),
        Operation::Enable(to, enabled) => world.enable(destination(to), enabled),
        Operation::Pause(route, paused) => world.pause(route, paused),
        Operation::HandOver => world.hand_over(),
        Operation::Command(verb, pick, of_lane) => world.command(verb, pick, of_lane),
        Operation::Crash(effects) => world.crash(effects),
    }
}

/// Limits that nothing reaches: what waits then, waits for its lane.
fn wide() -> Limits {
    let circuit = CircuitRule {
        failures: u32::MAX,
        ..CircuitRule::default()
    };
    Limits {
        circuit,
        ..Limits::default()
    }
}

/// Limits that everything reaches.
fn narrow() -> Limits {
    Limits {
        in_flight: 3,
        destination_in_flight: 2,
        attempts: RateRule {
            per_second: 5.0,
            burst: 3.0,
        },
        circuit: CircuitRule {
            failures: 2,
            probe_after_ms: 500,
            probe_max_ms: 4_000,
        },
        remembered_lanes: 2,
        lane_waiting: 2,
        destination_waiting: 3,
        ..Limits::default()
    }
}

/// Cases of each property. What failed once is in `lane_order.seeds`, and tried first ever after.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2_500,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("seeds"))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lanes_keep_their_order_lose_nothing_and_never_wait_for_each_other(operations in vec(operation(), 1..120)) {
        let mut world = World::new(wide(), Parking::Off, DESTINATIONS);
        for operation in &operations {
            run(&mut world, operation);
            world.check_nothing_waits();
        }
        world.finish();
    }

    #[test]
    fn tight_limits_delay_but_neither_reorder_nor_lose(operations in vec(operation(), 1..120)) {
        let mut world = World::new(narrow(), Parking::Off, DESTINATIONS);
        for operation in &operations {
            run(&mut world, operation);
        }
        world.finish();
    }

    #[test]
    fn parked_lanes_keep_their_order_and_lose_nothing(operations in vec(operation(), 1..120)) {
        let mut world = World::new(wide(), Parking::On, DESTINATIONS);
        for operation in &operations {
            run(&mut world, operation);
            world.check_nothing_waits();
        }
        world.finish();
    }

    #[test]
    fn parking_under_tight_limits_neither_reorders_nor_loses(operations in vec(operation(), 1..120)) {
        let mut world = World::new(narrow(), Parking::On, DESTINATIONS);
        for operation in &operations {
            run(&mut world, operation);
        }
        world.finish();
    }

    #[test]
    fn a_quota_kills_what_it_has_no_room_for_and_neither_reorders_nor_loses(
        operations in vec(operation(), 1..120), tight in any::<bool>(), messages in 0u64..8,
    ) {
        let limits = if tight { narrow() } else { wide() };
        let mut world = World::with_quota(limits, Parking::On, DESTINATIONS, messages * 1_000);
        for operation in &operations {
            run(&mut world, operation);
        }
        world.finish();
    }
}
