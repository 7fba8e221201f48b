//! Processing what was held, once its source is not paused any more: as what comes from the log is, page by page,
//! between the batches of the log, by the partition's owner. So nothing of a source is processed before what it
//! accepted earlier.

use std::time::Instant;

use bytes::Bytes;
use hookrail_broker::{MessageHeaders, RawMessage};
use hookrail_domain::ids::SourceId;
use hookrail_store::held_events::{self, HeldRow};
use tokio_util::sync::CancellationToken;

use crate::{
    arrivals::{Opened, open},
    back_off::BackOff,
    careful,
    commit::CameFrom,
    consume_partition::PartitionWork,
    error::GiveUp,
    evaluate_batch::{Evaluating, evaluate_batch},
};

/// Pages of held events for each batch of the log: what is held gets less, however much comes and has to be held
/// behind it.
const PAGES_IN_TURN: u32 = 4;

impl PartitionWork {
    /// Processes some of the held events that may go on; the log has its turn then.
    pub(crate) async fn release(&mut self, stop: &CancellationToken) -> Result<(), GiveUp> {
        for _ in 0..PAGES_IN_TURN {
            if stop.is_cancelled() || !self.release_page().await? {
                break;
            }
        }
        Ok(())
    }

    /// Processes the first of them: as many as a batch has, one where care is needed. `false`: there are none.
    async fn release_page(&mut self) -> Result<bool, GiveUp> {
        let sources = self.held.released(&self.workshop.snapshots.current());
        if sources.is_empty() {
            return Ok(false);
        }
        let started = Instant::now();
        let opened = self.first_held(&sources).await?;
        let Some(first) = opened.first().map(|opened| opened.arrival.sequence) else {
            // Only this owner releases what it holds.
            tracing::error!(partition = self.lease.partition(), "what is held is not there");
            return Err(GiveUp::Replaced);
        };
        let poison = self.care.is_needed() && self.begin(first).await? == careful::Verdict::Poison;
        let evaluating = Evaluating { poison, held: None };
        let batch = evaluate_batch(&self.workshop, &self.lease, opened, evaluating).await?;
        let events = self.settle(batch, CameFrom::Held, started).await?;
        for source in events.sources {
            self.held.remove(source);
        }
        if self.care.is_needed() {
            self.done(first).await?;
        }
        Ok(true)
    }

    async fn first_held(&self, sources: &[SourceId]) -> Result<Vec<Opened>, GiveUp> {
        let settings = &self.workshop.settings;
        let most = self.events_at_once();
        let (reader, partition) = (self.workshop.store.reader(), self.lease.partition());
        let max_bytes = settings.processor_batch_bytes as u64;
        let mut back_off = BackOff::usual();
        loop {
            match held_events::first(reader, partition, sources, most, max_bytes).await {
                Ok(rows) => {
                    return Ok(rows
                        .into_iter()
                        .map(|row| open(partition, &message(row)))
                        .collect());
                }
                Err(error) => back_off.again(&self.lease, &error).await?,
            }
        }
    }
}

/// The message as it was in the log.
fn message(row: HeldRow) -> RawMessage {
    RawMessage {
        sequence: row.sequence.unsigned_abs(),
        timestamp_ms: row.stored_at,
        source: row.source,
        headers: MessageHeaders {
            event_id: Some(row.event),
            ..MessageHeaders::default()
        },
        payload: Bytes::from(row.message),
    }
}
