//! The ingress's metrics. What is counted for every accepted request is looked up by name once.

use std::time::Duration;

use hookrail_runtime::Metrics;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

use crate::refusal::Refusal;
use crate::store_event::Receipt;

/// Bucket limits of a publish, seconds: 0.1 ms to the 5 s after which its outcome is unknown.
const PUBLISH_SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

/// Bucket limits of an answer, seconds: 1 ms to the longest time that a source waits.
const RESPONSE_SECONDS: &[f64] = &[
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// The metrics of one ingress.
pub(crate) struct IngressMetrics {
    requests: IntCounterVec,
    accepted: IntCounter,
    duplicate: IntCounter,
    pub(crate) publish_seconds: Histogram,
    pub(crate) body_bytes: IntCounter,
    pub(crate) in_flight: IntGauge,
    pub(crate) body_bytes_in_flight: IntGauge,
    pub(crate) waiting: IntGauge,
    pub(crate) response_seconds: Histogram,
    pub(crate) late_answers: IntCounterVec,
    pub(crate) reports_dropped: IntCounter,
}

impl IngressMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let requests = metrics.counter_vec(
            "ingress_requests_total",
            "Webhook requests by the answer's status and cause",
            &["status", "cause"],
        );
        Self {
            accepted: requests.with_label_values(&["202", "accepted"]),
            duplicate: requests.with_label_values(&["200", "duplicate"]),
            requests,
            publish_seconds: metrics.histogram(
                "ingress_publish_seconds",
                "From handing an event to the broker to its acknowledgement",
                PUBLISH_SECONDS,
            ),
            body_bytes: metrics.counter("ingress_body_bytes_total", "Bytes of well-formed bodies, decoded"),
            in_flight: metrics.gauge("ingress_in_flight", "Requests whose body is in memory"),
            body_bytes_in_flight: metrics.gauge("ingress_body_bytes_in_flight", "Bytes of bodies in memory"),
            waiting: metrics.gauge("ingress_waiting", "Callers of request-response that wait"),
            response_seconds: metrics.histogram(
                "ingress_response_seconds",
                "From a request of request-response to its answer",
                RESPONSE_SECONDS,
            ),
            late_answers: metrics.counter_vec(
                "ingress_late_answers_total",
                "Answers that were asked for later, by what they were",
                &["outcome"],
            ),
            reports_dropped: metrics.counter(
                "ingress_reports_dropped_total",
                "Reports of refused requests that found no room on their way to the journal",
            ),
        }
    }

    pub(crate) fn count_receipt(&self, receipt: &Receipt) {
        match receipt {
            Receipt::Accepted(_) => self.accepted.inc(),
            Receipt::Duplicate { .. } => self.duplicate.inc(),
        }
    }

    /// Counts an answer to a caller that waited, by its outcome; the destination's own statuses are many.
    pub(crate) fn count_response(&self, outcome: &str, took: Duration) {
        self.requests.with_label_values(&["response", outcome]).inc();
        self.response_seconds.observe(took.as_secs_f64());
    }

    /// Counts a request that was answered and is no event.
    pub(crate) fn count_handshake(&self, status: u16) {
        self.requests
            .with_label_values(&[status.to_string().as_str(), "handshake"])
            .inc();
    }

    pub(crate) fn count_refusal(&self, refusal: &Refusal) {
        let status = refusal.status();
        self.requests
            .with_label_values(&[status.as_str(), refusal.code()])
            .inc();
    }
}
