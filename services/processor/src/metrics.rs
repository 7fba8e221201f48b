//! What the processor counts. Nothing is labelled by source, destination or key: that would grow
//! without bound.

use hookrail_domain::event::EventStatus;
use hookrail_runtime::{Metrics, metrics::SECONDS};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// Sizes of batches.
const BATCH_SIZES: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0,
];

/// The processor's metrics.
#[derive(Clone)]
pub(crate) struct ProcessorMetrics {
    events: IntCounterVec,
    pub(crate) held: IntCounter,
    pub(crate) released: IntCounter,
    pub(crate) full_sources: IntGauge,
    pub(crate) deliveries_planned: IntCounter,
    pub(crate) publish_retries: IntCounterVec,
    pub(crate) batch_events: Histogram,
    pub(crate) batch_seconds: Histogram,
    pub(crate) store_retries: IntCounterVec,
    pub(crate) journal_records: IntCounterVec,
    pub(crate) partitions_owned: IntGauge,
    pub(crate) takeovers: IntCounterVec,
    pub(crate) lag: IntGaugeVec,
    pub(crate) trimmed: IntCounter,
    pub(crate) job_shards_owned: IntGauge,
    pub(crate) job_takeovers: IntCounterVec,
    pub(crate) replayed: IntCounterVec,
    pub(crate) dead_letters_trimmed: IntCounter,
    pub(crate) journal_trimmed: IntCounterVec,
    pub(crate) store_bytes: IntGauge,
    pub(crate) store_over_limit: IntGauge,
    pub(crate) objects_swept: IntCounter,
    pub(crate) tombstones_swept: IntCounter,
    pub(crate) internal_events: IntCounter,
    pub(crate) sync_records: IntCounterVec,
    pub(crate) answers: IntCounterVec,
    pub(crate) answers_not_kept: IntCounter,
}

impl ProcessorMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            events: metrics.counter_vec("events_total", "Events by how they ended", &["outcome"]),
            held: metrics.counter(
                "events_held_total",
                "Events that were held since their source is paused, or has others held before them",
            ),
            released: metrics.counter("events_released_total", "Held events that were processed"),
            full_sources: metrics.gauge(
                "held_full_sources",
                "Paused sources that hold as much as they may; on the worker that looks at them",
            ),
            deliveries_planned: metrics.counter("deliveries_planned_total", "Deliveries planned"),
            publish_retries: metrics.counter_vec(
                "processor_publish_retries_total",
                "Publishes of deliveries that were tried again, by what came before",
                &["reason"],
            ),
            batch_events: metrics.histogram("processor_batch_events", "Events in a batch", BATCH_SIZES),
            batch_seconds: metrics.histogram(
                "processor_batch_seconds",
                "Time from reading a batch to its commit",
                SECONDS,
            ),
            store_retries: metrics.counter_vec(
                "processor_store_retries_total",
                "Operations of the store that were tried again",
                &["operation"],
            ),
            journal_records: metrics.counter_vec(
                "journal_records_total",
                "Journal records by result",
                &["result"],
            ),
            partitions_owned: metrics.gauge(
                "processor_partitions_owned",
                "Raw partitions owned by this worker",
            ),
            takeovers: metrics.counter_vec(
                "processor_takeovers_total",
                "Raw partitions taken over",
                &["unclean"],
            ),
            lag: metrics.gauge_vec(
                "processor_lag_events",
                "Events not processed yet, by raw partition",
                &["partition"],
            ),
            trimmed: metrics.counter(
                "processor_trimmed_events_total",
                "Processed events removed from the log",
            ),
            job_shards_owned: metrics.gauge("job_shards_owned", "Shards of jobs owned by this worker"),
            job_takeovers: metrics.counter_vec(
                "job_takeovers_total",
                "Shards of jobs taken over",
                &["unclean"],
            ),
            replayed: metrics.counter_vec(
                "replayed_total",
                "Deliveries and events of replays, by result",
                &["result"],
            ),
            journal_trimmed: metrics.counter_vec(
                "journal_trimmed_rows_total",
                "Rows removed from the database, by table, and by whether their time was up or room was needed",
                &["table", "reason"],
            ),
            store_bytes: metrics.gauge(
                "store_bytes",
                "Bytes in use in the database, estimated on PostgreSQL; on the worker that trims it",
            ),
            store_over_limit: metrics.gauge(
                "store_over_limit",
                "1 while the database is over its limit and the oldest go early",
            ),
            objects_swept: metrics.counter(
                "objects_swept_total",
                "Large bodies removed from the object store since nobody needs them any more",
            ),
            tombstones_swept: metrics.counter(
                "entity_tombstones_swept_total",
                "Deleted entities of which nothing is kept any more",
            ),
            dead_letters_trimmed: metrics.counter(
                "dead_letters_trimmed_total",
                "Dead letters removed since their time was up",
            ),
            internal_events: metrics.counter(
                "internal_events_total",
                "Events that Hookrail made itself and put into the log",
            ),
            sync_records: metrics.counter_vec(
                "sync_records_total",
                "Records of syncs whose deliveries have ended, by outcome",
                &["outcome"],
            ),
            answers: metrics.counter_vec(
                "processor_answers_total",
                "Answers to callers of request-response whose events go to no destination that answers, by outcome",
                &["outcome"],
            ),
            answers_not_kept: metrics.counter(
                "processor_answers_not_kept_total",
                "Answers that were told and not kept, since the stream of answers had no room",
            ),
        }
    }

    pub(crate) fn count(&self, status: EventStatus) {
        self.events.with_label_values(&[status.as_str()]).inc();
    }
}
