//! One Prometheus registry per process. Names get the prefix `hookrail_`; who asks for the same metric twice gets
//! the same one, so services that share a process share it too.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// The prefix of all names.
const PREFIX: &str = "hookrail_";

/// Bucket limits, in seconds, for what a person waits for: 1 ms to 60 s.
pub const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Makes and registers metrics. Clones share one registry. All constructors panic on a name that Prometheus refuses,
/// or that is taken by another type: that is a mistake in the code, seen at the first start.
#[derive(Clone, Default)]
pub struct Metrics {
    registry: Registry,
    known: Arc<Mutex<HashMap<String, Box<dyn Any + Send>>>>,
}

impl Metrics {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A counter; its name ends in `_total`.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(name, IntCounter::with_opts(opts(name, help)))
    }

    /// A counter with labels; its name ends in `_total`.
    #[must_use]
    pub fn counter_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(name, IntCounterVec::new(opts(name, help), labels))
    }

    /// A gauge of whole numbers.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(name, IntGauge::with_opts(opts(name, help)))
    }

    /// A gauge of whole numbers with labels.
    #[must_use]
    pub fn gauge_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.register(name, IntGaugeVec::new(opts(name, help), labels))
    }

    /// A histogram; [`SECONDS`] are the usual buckets.
    #[must_use]
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.register(name, Histogram::with_opts(histogram_opts(name, help, buckets)))
    }

    /// A histogram with labels.
    #[must_use]
    pub fn histogram_vec(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        self.register(
            name,
            HistogramVec::new(histogram_opts(name, help, buckets), labels),
        )
    }

    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .expect("writing into memory does not fail");
        text
    }

    fn register<C: Collector + Clone + 'static>(&self, name: &str, made: prometheus::Result<C>) -> C {
        let made = made.expect("a metric's name and labels are valid");
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = known.get(name) {
            return earlier
                .downcast_ref::<C>()
                .expect("a metric's name is used for one type")
                .clone();
        }
        self.registry
            .register(Box::new(made.clone()))
            .expect("a metric is registered once");
        known.insert(name.to_owned(), Box::new(made.clone()));
        made
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("{PREFIX}{name}"), help)
}

fn histogram_opts(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts::new(format!("{PREFIX}{name}"), help).buckets(buckets.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_gives_the_same_metric() {
        let metrics = Metrics::new();
        metrics.counter("events_total", "Events.").inc();
        metrics.counter("events_total", "Events.").inc();
        assert!(String::from_utf8_lossy(&metrics.to_text()).contains("hookrail_events_total 2"));
    }

    #[test]
    fn a_histogram_has_its_buckets() {
        let metrics = Metrics::new();
        metrics
            .histogram_vec("wait_seconds", "Wait.", &["kind"], SECONDS)
            .with_label_values(&["a"])
            .observe(0.02);
        let text = String::from_utf8(metrics.to_text()).unwrap();
        assert!(text.contains("hookrail_wait_seconds_bucket{kind=\"a\",le=\"0.025\"} 1"));
    }
}
