//! How many bytes of bodies are in memory at once, and the limit of that. The number of requests is
//! limited elsewhere: a few large bodies take what thousands of small ones do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes there are.
pub(crate) struct ByteBudget {
    taken: AtomicUsize,
    limit: usize,
}

/// What one request has of them; it is free again when this is dropped.
pub(crate) struct Reserved {
    budget: Arc<ByteBudget>,
    bytes: usize,
}

impl ByteBudget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            taken: AtomicUsize::new(0),
            limit,
        })
    }

    /// A reservation of nothing, to grow.
    pub(crate) fn reserve(self: &Arc<Self>) -> Reserved {
        Reserved {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Reserved {
    /// Takes `bytes` more; `false` where there are none left.
    #[must_use]
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let before = self.budget.taken.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        before.saturating_add(bytes) <= self.budget.limit
    }

    /// Gives `bytes` back.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_took_is_free_again_once_it_is_over() {
        let budget = ByteBudget::new(10);
        let (mut first, mut second) = (budget.reserve(), budget.reserve());
        assert!(first.grow(6) && !second.grow(5));
        drop(second);
        assert_eq!(budget.taken(), 6);
        first.shrink(100);
        assert_eq!(budget.taken(), 0);
        assert!(budget.reserve().grow(10));
    }
}
