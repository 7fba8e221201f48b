//! The dispatcher's metrics.

use std::sync::Arc;

use hookrail_domain::lane::End;
use hookrail_runtime::metrics::{self, Metrics};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

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
    /// Parked lanes, by partition.
    parked_lanes: IntGaugeVec,
    /// Age of what has lain longest in the parked stream, in seconds, by partition.
    oldest_parked: IntGaugeVec,
    /// Deliveries that wait in the queue, by partition.
    lag: IntGaugeVec,
    /// Partitions that no live worker owns.
    pub(crate) without_owner: IntGauge,
    /// Writes that a newer owner's fence refused.
    pub(crate) fence_refusals: IntCounter,
    /// Partitions given up since ownership was in doubt.
    pub(crate) given_up: IntCounter,
    /// Attempts reported without their details, since the journal's stream was nearly full.
    pub(crate) details_left_out: IntCounter,
    /// Answers to waiting callers, by outcome.
    pub(crate) answers: IntCounterVec,
    /// Answers that came when their caller had gone.
    pub(crate) late_answers: IntCounter,
    /// Answers that were not kept for want of room.
    pub(crate) answers_not_kept: IntCounter,
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
            parked_lanes: metrics.gauge_vec(
                "parked_lanes",
                "Lanes whose head waits, in partitions that this worker owns.",
                &["partition"],
            ),
            oldest_parked: metrics.gauge_vec(
                "oldest_parked_age_seconds",
                "Time since the event was accepted whose delivery has lain longest in the parked stream.",
                &["partition"],
            ),
            lag: metrics.gauge_vec(
                "delivery_lag_messages",
                "Deliveries that wait in a partition's queue and that its owner was not given yet.",
                &["partition"],
            ),
            without_owner: metrics.gauge(
                "delivery_partitions_without_owner",
                "Delivery partitions that no live worker owns, as this worker sees it.",
            ),
            fence_refusals: metrics.counter(
                "delivery_fence_refusals_total",
                "Writes of this worker that the fence of a newer owner refused.",
            ),
            details_left_out: metrics.counter(
                "attempt_details_left_out_total",
                "Attempts reported without their details, since the journal's stream was nearly full.",
            ),
            answers: metrics.counter_vec(
                "dispatcher_answers_total",
                "Answers to callers of request-response, by outcome.",
                &["outcome"],
            ),
            late_answers: metrics.counter(
                "dispatcher_late_answers_total",
                "Answers that came when their caller had gone.",
            ),
            answers_not_kept: metrics.counter(
                "dispatcher_answers_not_kept_total",
                "Answers that were told and not kept, since the stream of answers had no room.",
            ),
            given_up: metrics.counter(
                "delivery_partitions_given_up_total",
                "Delivery partitions given up in doubt.",
            ),
        }
    }

    /// The gauges of one partition, which end with what is given back.
    pub(crate) fn of_partition(&self, partition: u32) -> Arc<PartitionGauges> {
        let label = partition.to_string();
        Arc::new(PartitionGauges {
            parked_lanes: self.parked_lanes.with_label_values(&[&label]),
            oldest_parked: self.oldest_parked.with_label_values(&[&label]),
            lag: self.lag.with_label_values(&[&label]),
            all: [&self.parked_lanes, &self.oldest_parked, &self.lag].map(Clone::clone),
            label,
        })
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

/// The gauges of a partition that this worker owns. They are gone when it owns it no more: nobody should
/// take what another worker may have changed since for what is.
pub(crate) struct PartitionGauges {
    pub(crate) parked_lanes: IntGauge,
    pub(crate) oldest_parked: IntGauge,
    pub(crate) lag: IntGauge,
    all: [IntGaugeVec; 3],
    label: String,
}

impl Drop for PartitionGauges {
    fn drop(&mut self) {
        for gauge in &self.all {
            // One that a later task of the same partition removed is gone already.
            let _gone = gauge.remove_label_values(&[&self.label]);
        }
    }
}
