//! The dispatcher's metrics.

use hookrail_domain::lane::End;
use hookrail_runtime::metrics::{self, Metrics};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

/// What the dispatcher counts.
#[derive(Clone)]
pub(crate) struct DispatcherMetrics {
    /// Deliveries settled, by outcome.
    pub(crate) deliveries: IntCounterVec,
    /// Deliveries appended to the parked stream.
    pub(crate) parked: IntCounter,
    /// Attempts made, by result.
    pub(crate) attempts: IntCounterVec,
    /// Attempts under way.
    pub(crate) in_flight: IntGauge,
    /// Seconds from the first byte sent to the answer's end.
    pub(crate) attempt_seconds: Histogram,
    /// Seconds from the event's acceptance to the delivery's confirmed end.
    pub(crate) delivered_seconds: Histogram,
    /// Partitions owned.
    pub(crate) partitions: IntGauge,
    /// Partitions taken over.
    pub(crate) takeovers: IntCounter,
    /// Messages that are no deliveries that this version knows.
    pub(crate) unreadable: IntCounter,
    /// Partitions given up since ownership was in doubt.
    pub(crate) given_up: IntCounter,
}

impl DispatcherMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            deliveries: metrics.counter_vec(
                "deliveries_total",
                "Deliveries settled, by outcome.",
                &["outcome"],
            ),
            parked: metrics.counter(
                "deliveries_parked_total",
                "Deliveries put aside until they can be sent.",
            ),
            attempts: metrics.counter_vec("attempts_total", "Attempts made, by result.", &["result"]),
            in_flight: metrics.gauge("attempts_in_flight", "Attempts under way."),
            attempt_seconds: metrics.histogram("attempt_seconds", "Duration of attempts.", metrics::SECONDS),
            delivered_seconds: metrics.histogram(
                "accepted_to_delivered_seconds",
                "Time from an event's acceptance to its delivery.",
                metrics::SECONDS,
            ),
            partitions: metrics.gauge(
                "delivery_partitions_owned",
                "Delivery partitions that this worker owns.",
            ),
            takeovers: metrics.counter("delivery_takeovers_total", "Delivery partitions taken over."),
            unreadable: metrics.counter(
                "deliveries_unreadable_total",
                "Messages left alone since they can't be read.",
            ),
            given_up: metrics.counter(
                "delivery_partitions_given_up_total",
                "Delivery partitions given up in doubt.",
            ),
        }
    }

    pub(crate) fn settled(&self, end: End) {
        let outcome = match end {
            End::Delivered => "delivered",
            End::Dead(_) => "dead",
            End::Cancelled(_) => "cancelled",
            End::Stale => "stale",
            End::Moved => "moved",
        };
        self.deliveries.with_label_values(&[outcome]).inc();
    }
}
