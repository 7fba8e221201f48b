//! How many events of each source ended how. Raised in the transaction that ends them, so that the
//! counters add up whatever dies.

use std::collections::BTreeMap;

use hookrail_domain::{Millis, event::EventStatus, ids::SourceId};
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{StoreError, rows, statement};

/// How many events ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromQueryResult)]
pub struct Counts {
    /// Processed.
    pub processed: i64,
    /// Left out by the filter.
    pub filtered: i64,
    /// Failed.
    pub failed: i64,
    /// Repetitions.
    pub duplicate: i64,
    /// When the newest of them was accepted, milliseconds.
    pub last_event_at: Millis,
}

impl Counts {
    /// Counts one event.
    pub fn add(&mut self, status: EventStatus, accepted_at: Millis) {
        match status {
            EventStatus::Processed => self.processed += 1,
            EventStatus::Filtered => self.filtered += 1,
            EventStatus::Failed => self.failed += 1,
            EventStatus::Duplicate => self.duplicate += 1,
            // Held: it came, and is not counted before it has ended.
            EventStatus::Received => {}
        }
        self.last_event_at = self.last_event_at.max(accepted_at);
    }
}

impl Counts {
    /// Takes one event back out, which ended otherwise after all.
    pub fn take_out(&mut self, status: &str) {
        match status {
            "processed" => self.processed -= 1,
            "filtered" => self.filtered -= 1,
            "failed" => self.failed -= 1,
            "duplicate" => self.duplicate -= 1,
            _ => {}
        }
    }
}

const RAISE: &str = "ON CONFLICT (source) DO UPDATE SET \
     processed = source_counters.processed + excluded.processed, \
     filtered = source_counters.filtered + excluded.filtered, \
     failed = source_counters.failed + excluded.failed, \
     duplicate = source_counters.duplicate + excluded.duplicate, \
     last_event_at = CASE WHEN source_counters.last_event_at > excluded.last_event_at \
         THEN source_counters.last_event_at ELSE excluded.last_event_at END";

/// Adds to the counters, in the sources' order.
///
/// # Errors
/// When the database cannot be used now.
pub async fn raise<C: ConnectionTrait>(
    connection: &C,
    counts: &BTreeMap<SourceId, Counts>,
) -> Result<u64, StoreError> {
    let rows = counts
        .iter()
        .map(|(source, counts)| {
            vec![
                rows::id(source),
                counts.processed.into(),
                counts.filtered.into(),
                counts.failed.into(),
                counts.duplicate.into(),
                counts.last_event_at.into(),
            ]
        })
        .collect();
    let head = "source_counters (source, processed, filtered, failed, duplicate, last_event_at)";
    rows::insert(connection, head, rows, RAISE).await
}

/// The counters of a source; zeros before its first event.
///
/// # Errors
/// When the database cannot be used now.
pub async fn of_source<C: ConnectionTrait>(connection: &C, source: SourceId) -> Result<Counts, StoreError> {
    let sql =
        "SELECT processed, filtered, failed, duplicate, last_event_at FROM source_counters WHERE source = $1";
    let counts = statement::row(connection, sql, vec![rows::id(source)]).await?;
    Ok(counts.unwrap_or_default())
}
