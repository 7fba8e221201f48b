//! Times from offered to arrived.

use std::sync::Mutex;

/// The latencies of a run, microseconds.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Mutex<Vec<u64>>);

/// Some of their quantiles.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quantiles {
    pub(crate) count: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) most_ms: f64,
}

impl Latencies {
    pub(crate) fn add(&self, us: u64) {
        self.0.lock().expect("no holder panics").push(us);
    }

    /// Forgets what there was, and gives its quantiles.
    pub(crate) fn take(&self) -> Quantiles {
        let mut all = std::mem::take(&mut *self.0.lock().expect("no holder panics"));
        all.sort_unstable();
        let at = |part: f64| {
            let place = ((all.len() as f64 - 1.0) * part).max(0.0) as usize;
            all.get(place).map_or(0.0, |us| *us as f64 / 1000.0)
        };
        Quantiles {
            count: all.len(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            most_ms: at(1.0),
        }
    }
}

impl std::fmt::Display for Quantiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            count,
            p50_ms,
            p99_ms,
            most_ms,
        } = self;
        write!(
            f,
            "{count} delivered, p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, longest {most_ms:.0} ms"
        )
    }
}
