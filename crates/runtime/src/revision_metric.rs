//! Shows which revision of the definitions is in force in a service: a change is, once the service's gauge has
//! reached the number in the change's ETag.

use tokio::sync::watch;

use crate::metrics::Metrics;

/// Follows `revisions` until they end.
pub fn follow_revision(metrics: &Metrics, service: &'static str, mut revisions: watch::Receiver<u64>) {
    let gauge = metrics
        .gauge_vec(
            "definitions_revision",
            "Revision of the definitions that is in force",
            &["service"],
        )
        .with_label_values(&[service]);
    tokio::spawn(async move {
        loop {
            let revision = *revisions.borrow_and_update();
            gauge.set(i64::try_from(revision).unwrap_or(i64::MAX));
            if revisions.changed().await.is_err() {
                return;
            }
        }
    });
}
