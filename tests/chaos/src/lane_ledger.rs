//! What arrived in each lane, in the order in which it did, and what that says of the promises.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use crate::bodies::DeliveryBody;

/// Arrivals of all lanes.
#[derive(Debug)]
pub(crate) struct LaneLedger {
    lanes: Vec<Mutex<LaneArrivals>>,
    accepted: AtomicU64,
    ordered: bool,
}

/// Arrivals of one lane.
#[derive(Debug, Default, Clone)]
struct LaneArrivals {
    /// By place in the lane.
    places: Vec<Place>,
    /// All places below this were accepted.
    accepted_below: u32,
    counts: Counts,
}

#[derive(Debug, Default, Clone, Copy)]
struct Place {
    attempts: u32,
    accepted: u32,
}

/// What the ledger says.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Arrivals, repeated ones too.
    pub(crate) attempts: u64,
    /// Never accepted.
    pub(crate) lost: u64,
    /// First attempts made before all earlier ones of their lane were accepted.
    pub(crate) out_of_order: u64,
    /// Accepted again.
    pub(crate) duplicates: u64,
    /// Attempts made again after a later one of their lane was accepted.
    pub(crate) late_duplicates: u64,
}

impl LaneLedger {
    /// `lanes` lanes; those of unordered deliveries are only numbers.
    pub(crate) fn new(lanes: u32, ordered: bool) -> Self {
        let lanes = (0..lanes).map(|_| Mutex::default()).collect();
        Self {
            lanes,
            accepted: AtomicU64::new(0),
            ordered,
        }
    }

    /// A delivery arrived and was accepted, or not.
    pub(crate) fn arrived(&self, body: DeliveryBody, accepted: bool) {
        let mut lane = self.lanes[body.lane as usize].lock().expect("no holder panics");
        if lane.arrived(body.n as usize, accepted, self.ordered) {
            self.accepted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Deliveries accepted so far, each counted once.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// The sums, of `deliveries` that were published.
    pub(crate) fn count(&self, deliveries: u64) -> Counts {
        let mut all = Counts::default();
        for lane in &self.lanes {
            let counts = lane.lock().expect("no holder panics").counts;
            all.attempts += counts.attempts;
            all.out_of_order += counts.out_of_order;
            all.duplicates += counts.duplicates;
            all.late_duplicates += counts.late_duplicates;
        }
        all.lost = deliveries.saturating_sub(self.accepted());
        all
    }
}

impl LaneArrivals {
    /// Notes an arrival; true where it was accepted for the first time.
    fn arrived(&mut self, n: usize, accepted: bool, ordered: bool) -> bool {
        if self.places.len() <= n {
            self.places.resize(n + 1, Place::default());
        }
        self.counts.attempts += 1;
        let place = &mut self.places[n];
        place.attempts += 1;
        let first_attempt = place.attempts == 1;
        place.accepted += u32::from(accepted);
        let first_accepted = accepted && place.accepted == 1;
        self.counts.duplicates += u64::from(accepted && !first_accepted);
        if ordered {
            let later = self.places[n + 1..].iter().any(|later| later.accepted > 0);
            let early = (self.accepted_below as usize) < n;
            self.counts.out_of_order += u64::from(first_attempt && (early || later));
            self.counts.late_duplicates += u64::from(!first_attempt && later);
        }
        while self
            .places
            .get(self.accepted_below as usize)
            .is_some_and(|place| place.accepted > 0)
        {
            self.accepted_below += 1;
        }
        first_accepted
    }
}

impl Counts {
    /// Whether every promise was kept.
    pub(crate) fn kept(&self) -> bool {
        self.lost == 0 && self.out_of_order == 0 && self.late_duplicates == 0
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "lost {}   out of order {}   repeated after a later one was accepted {}   duplicates {}   attempts {}",
            self.lost, self.out_of_order, self.late_duplicates, self.duplicates, self.attempts
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broken_promise_is_counted() {
        let check = |arrivals: &[(u32, bool)], expected: Counts| {
            let ledger = LaneLedger::new(2, true);
            for (n, accepted) in arrivals {
                ledger.arrived(
                    DeliveryBody {
                        lane: 1,
                        n: *n,
                        at_us: 0,
                    },
                    *accepted,
                );
            }
            let attempts = arrivals.len() as u64;
            assert_eq!(ledger.count(3), Counts { attempts, ..expected }, "{arrivals:?}");
        };
        let good = Counts::default();
        check(&[(0, true), (1, false), (1, true), (2, true)], good);
        check(
            &[(0, true), (0, true), (1, true), (2, true)],
            Counts {
                duplicates: 1,
                ..good
            },
        );
        check(&[(0, true), (1, true)], Counts { lost: 1, ..good });
        check(
            &[(0, false), (1, true), (2, true)],
            Counts {
                lost: 1,
                out_of_order: 2,
                ..good
            },
        );
        check(
            &[(0, true), (2, true), (1, true)],
            Counts {
                out_of_order: 2,
                ..good
            },
        );
        let late = Counts {
            duplicates: 1,
            late_duplicates: 1,
            ..good
        };
        check(&[(0, true), (1, true), (0, true), (2, true)], late);
        check(
            &[(0, true), (1, true), (0, false), (2, true)],
            Counts {
                late_duplicates: 1,
                ..good
            },
        );
    }
}
