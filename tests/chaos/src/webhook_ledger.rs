//! What was accepted and what arrived, in order, and what that says of the promises.

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
};

use serde::Deserialize;

#[derive(Deserialize)]
struct Arrived {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    id: u64,
    n: u64,
}

/// The two sides of the run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    accepted: Mutex<HashSet<(u64, u64)>>,
    /// Per key, the numbers in order of arrival.
    arrivals: Mutex<HashMap<u64, Vec<u64>>>,
}

/// What the ledger says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Answered with 202.
    pub(crate) accepted: u64,
    /// Of those, never arrived.
    pub(crate) lost: u64,
    /// First arrivals with a number below one that had arrived before.
    pub(crate) out_of_order: u64,
    /// Arrivals beyond the first of each number.
    pub(crate) duplicated: u64,
    /// Of those, the ones that came after a later number.
    pub(crate) late_duplicates: u64,
}

impl Ledger {
    /// A webhook was answered with 202.
    pub(crate) fn accepted(&self, key: u64, number: u64) {
        self.accepted
            .lock()
            .expect("no holder panics")
            .insert((key, number));
    }

    /// A delivery arrived.
    pub(crate) fn arrival(&self, body: &[u8]) {
        let arrived: Arrived = serde_json::from_slice(body).expect("a delivery's body in format event");
        self.arrivals
            .lock()
            .expect("no holder panics")
            .entry(arrived.data.id)
            .or_default()
            .push(arrived.data.n);
    }

    /// Whether all that was accepted has arrived.
    pub(crate) fn all_arrived(&self) -> bool {
        self.count().lost == 0
    }

    /// The sums.
    pub(crate) fn count(&self) -> Counts {
        let accepted = self.accepted.lock().expect("no holder panics");
        let arrivals = self.arrivals.lock().expect("no holder panics");
        let mut counts = Counts {
            accepted: accepted.len() as u64,
            ..Counts::default()
        };
        let mut arrived = HashSet::new();
        for (key, numbers) in arrivals.iter() {
            let mut highest = None;
            for number in numbers {
                let late = highest.is_some_and(|highest| highest > *number);
                if arrived.insert((*key, *number)) {
                    counts.out_of_order += u64::from(late);
                } else {
                    counts.duplicated += 1;
                    counts.late_duplicates += u64::from(late);
                }
                highest = highest.max(Some(*number));
            }
        }
        counts.lost = accepted.difference(&arrived).count() as u64;
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broken_promise_is_counted() {
        let ledger = Ledger::default();
        (0..5).for_each(|n| ledger.accepted(1, n));
        for n in [0, 2, 1, 2, 2, 3, 0] {
            ledger.arrival(format!("{{\"data\":{{\"id\":1,\"n\":{n}}}}}").as_bytes());
        }
        let expected = Counts {
            accepted: 5,
            lost: 1,
            out_of_order: 1,
            duplicated: 3,
            late_duplicates: 1,
        };
        assert_eq!(ledger.count(), expected);
    }
}
