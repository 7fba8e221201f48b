//! How many requests have their body in memory at once, and the limit of that.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The places there are.
pub(crate) struct InFlight {
    taken: AtomicUsize,
    limit: usize,
}

/// A place that a request has; it is free again when this is dropped, also when the sender hangs up.
pub(crate) struct Place<'a>(&'a InFlight);

impl InFlight {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            taken: AtomicUsize::new(0),
            limit,
        }
    }

    /// Takes a place; `None` when all are taken.
    pub(crate) fn enter(&self) -> Option<Place<'_>> {
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let place = Place(self);
        (before < self.limit).then_some(place)
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_once_its_request_is_over() {
        let places = InFlight::new(1);
        let first = places.enter();
        assert!(first.is_some() && places.enter().is_none());
        drop(first);
        assert_eq!(places.taken(), 0);
        assert!(places.enter().is_some());
    }
}
