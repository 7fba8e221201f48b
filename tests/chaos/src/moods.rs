//! Receivers that are not always well: some lanes fail at random, some until the end, some hang.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{
    seeded::Seeded,
    sink::{Arrived, Reply},
};

/// How many lanes of a thousand have which mood.
const HANGING: u32 = 5;
const FAILING: u32 = 20;
const FLAPPING: u32 = 50;

/// Which lanes are answered how.
pub(crate) struct Moods {
    seed: u64,
    arrivals: AtomicU64,
    all_well: AtomicBool,
}

impl Moods {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            arrivals: AtomicU64::new(0),
            all_well: AtomicBool::new(false),
        }
    }

    /// How this delivery is answered now.
    pub(crate) fn reply(&self, arrived: Arrived) -> Reply {
        let number = self.arrivals.fetch_add(1, Ordering::Relaxed);
        if self.all_well.load(Ordering::Relaxed) {
            return Reply::ACCEPTED;
        }
        match mood(arrived.body.lane) {
            Mood::Well => Reply::ACCEPTED,
            Mood::Failing => Reply::FAILED,
            Mood::Hanging => Reply::NEVER,
            Mood::Flapping if Seeded::new(self.seed ^ number).below(2) == 0 => Reply::FAILED,
            Mood::Flapping => Reply::ACCEPTED,
        }
    }

    /// Every lane is well from now on.
    pub(crate) fn get_well(&self) {
        self.all_well.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Flapping,
    Failing,
    Hanging,
}

/// A lane's mood: by its number, spread over all destinations.
fn mood(lane: u32) -> Mood {
    // 7919 and 1000 have no common divisor, so that a thousand lanes have a thousand classes.
    match u64::from(lane) * 7919 % 1000 {
        class if class < u64::from(HANGING) => Mood::Hanging,
        class if class < u64::from(HANGING + FAILING) => Mood::Failing,
        class if class < u64::from(HANGING + FAILING + FLAPPING) => Mood::Flapping,
        _ => Mood::Well,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moods_have_their_shares() {
        let count = |wanted| (0..2_000).filter(|lane| mood(*lane) == wanted).count();
        assert_eq!(
            [Mood::Hanging, Mood::Failing, Mood::Flapping, Mood::Well].map(count),
            [10, 40, 100, 1_850]
        );
    }
}
