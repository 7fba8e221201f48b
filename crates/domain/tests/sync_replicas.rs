//! The modes of a sync against a model of their receivers: random histories of a table, deliveries that are late,
//! dead or lost in order, and after all of that what the receiver has is what the mode promises.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use hookrail_domain::sync::{
    SyncMode,
    decide::{Decision, KnownRow, Operation, RowHash, RowStatus, decide, settled},
    merge::pairs,
};
use proptest::prelude::*;

type Key = u8;
type Value = u8;

#[derive(Debug, Clone)]
enum Step {
    Put(Key, Value),
    Remove(Key),
    /// A run; of what it sends, these end delivered, dead or not yet.
    Run(Vec<Fate>),
    /// All that is on its way ends, in this fate.
    Settle(Fate),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Delivered,
    Dead,
    Late,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![3 => Just(Fate::Delivered), 1 => Just(Fate::Dead), 1 => Just(Fate::Late)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..8_u8, 0..4_u8).prop_map(|(key, value)| Step::Put(key, value)),
        2 => (0..8_u8).prop_map(Step::Remove),
        3 => prop::collection::vec(fate(), 0..6).prop_map(Step::Run),
        1 => prop_oneof![Just(Fate::Delivered), Just(Fate::Dead)].prop_map(Step::Settle),
    ]
}

/// A table, what a sync knows of it, and its receiver.
struct World {
    mode: SyncMode,
    table: BTreeMap<Key, Value>,
    known: BTreeMap<Key, KnownRow>,
    on_way: Vec<(Key, Operation, Option<Value>)>,
    receiver: BTreeMap<Key, Value>,
    /// How often each key was taken by the receiver.
    taken: BTreeMap<Key, u32>,
    /// What each row was when a run first saw it, and whenever it came anew.
    learned: BTreeMap<Key, Value>,
    deleted: Vec<Key>,
}

impl World {
    fn new(mode: SyncMode) -> Self {
        Self {
            mode,
            table: BTreeMap::new(),
            known: BTreeMap::new(),
            on_way: Vec::new(),
            receiver: BTreeMap::new(),
            taken: BTreeMap::new(),
            learned: BTreeMap::new(),
            deleted: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Put(key, value) => drop(self.table.insert(*key, *value)),
            Step::Remove(key) => drop(self.table.remove(key)),
            Step::Run(fates) => self.run(fates),
            Step::Settle(fate) => self.settle_all(*fate),
        }
    }

    fn run(&mut self, fates: &[Fate]) {
        let (table, known) = (self.table.clone(), self.known.clone());
        let mut fates = fates.iter();
        for pair in pairs(table, known, |seen, known| seen.0.cmp(&known.0)) {
            let key = pair
                .seen
                .map(|row| row.0)
                .or(pair.known.map(|row| row.0))
                .unwrap();
            let hash = pair.seen.map(|row| RowHash::of(&[row.1]));
            match decide(self.mode, pair.known.map(|row| row.1), hash) {
                Decision::Keep | Decision::Wait => {}
                Decision::Learn => {
                    let status = RowStatus::Learned;
                    self.known.insert(
                        key,
                        KnownRow {
                            status,
                            hash: hash.unwrap(),
                        },
                    );
                    self.learned.insert(key, pair.seen.unwrap().1);
                }
                Decision::Send(operation) => {
                    self.send(key, operation, pair.seen.map(|row| row.1));
                    if let Some(Fate::Delivered | Fate::Dead) = fates.next() {
                        let sent = self.on_way.pop().unwrap();
                        let fate = if operation == Operation::Write && key % 3 == 0 {
                            Fate::Dead
                        } else {
                            Fate::Delivered
                        };
                        self.settle(sent, fate);
                    }
                }
            }
        }
    }

    fn send(&mut self, key: Key, operation: Operation, value: Option<Value>) {
        assert!(
            self.on_way.iter().all(|sent| sent.0 != key),
            "a row has one delivery on its way"
        );
        let status = match operation {
            Operation::Write => RowStatus::Writing,
            Operation::Delete => RowStatus::Deleting,
        };
        let hash = value.map(|value| RowHash::of(&[value])).unwrap_or_default();
        self.known.insert(key, KnownRow { status, hash });
        self.on_way.push((key, operation, value));
    }

    fn settle_all(&mut self, fate: Fate) {
        for sent in std::mem::take(&mut self.on_way) {
            self.settle(sent, fate);
        }
    }

    fn settle(&mut self, (key, operation, value): (Key, Operation, Option<Value>), fate: Fate) {
        let is_delivered = fate == Fate::Delivered;
        match settled(operation, is_delivered) {
            None => drop(self.known.remove(&key)),
            Some(status) => self.known.get_mut(&key).unwrap().status = status,
        }
        if !is_delivered {
            return;
        }
        *self.taken.entry(key).or_default() += 1;
        match operation {
            Operation::Write => drop(self.receiver.insert(key, value.unwrap())),
            Operation::Delete => {
                self.receiver.remove(&key);
                self.learned.remove(&key);
                self.deleted.push(key);
            }
        }
    }

    /// Two runs whose deliveries all arrive: the second sees what the first had to wait for.
    fn come_to_rest(&mut self) {
        for _ in 0..2 {
            self.settle_all(Fate::Delivered);
            self.run(&[]);
            self.settle_all(Fate::Delivered);
        }
    }

    fn check(&self) {
        match self.mode {
            SyncMode::Upsert => {
                for (key, value) in &self.table {
                    assert_eq!(self.receiver.get(key), Some(value));
                }
            }
            SyncMode::Mirror => assert_eq!(self.receiver, self.table),
            SyncMode::Append | SyncMode::Create => {
                for key in self.table.keys() {
                    assert!(self.receiver.contains_key(key));
                }
                assert!(
                    self.taken.values().all(|count| *count == 1),
                    "each row once: {:?}",
                    self.taken
                );
            }
            SyncMode::Update => {
                for (key, value) in &self.table {
                    assert_eq!(self.receiver.get(key).or(self.learned.get(key)), Some(value));
                }
            }
            SyncMode::Delete => {
                assert!(self.receiver.is_empty(), "nothing is written");
                assert!(
                    self.learned.keys().eq(self.table.keys()),
                    "what is gone is deleted, and nothing else"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_receiver_has_what_the_mode_promises(
        mode in prop_oneof![
            Just(SyncMode::Upsert), Just(SyncMode::Mirror), Just(SyncMode::Append),
            Just(SyncMode::Update), Just(SyncMode::Create), Just(SyncMode::Delete)],
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut world = World::new(mode);
        for step in &steps {
            world.step(step);
        }
        world.come_to_rest();
        world.check();
        let (taken, way) = (world.taken.clone(), world.on_way.len());
        world.run(&[]);
        prop_assert_eq!((world.taken, world.on_way.len()), (taken, way), "nothing is sent where nothing changed");
    }
}
