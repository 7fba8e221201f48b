//! Metrics of the config service.

use hookrail_runtime::Metrics;
use prometheus::IntCounter;

/// What the publisher counts.
pub(crate) struct ConfigMetrics {
    /// Changes that the broker has.
    pub(crate) published: IntCounter,
    /// Tries that failed.
    pub(crate) publish_failures: IntCounter,
}

impl ConfigMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            published: metrics.counter(
                "config_changes_published_total",
                "Changes of definitions that the broker has",
            ),
            publish_failures: metrics.counter(
                "config_publish_failures_total",
                "Tries to publish changes of definitions that failed",
            ),
        }
    }
}
