//! The loop of one owned raw partition: read a batch, evaluate it, publish its deliveries, commit,
//! acknowledge. In that order, always: what is acknowledged is committed, and what is committed is
//! published.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Instant;

use hookrail_broker::{Broker, Lease, RawMessage, RawReader, Responder, SnapshotReader};
use hookrail_domain::ids::SourceId;
use hookrail_store::Store;
use tokio_util::sync::CancellationToken;

use crate::{
    answer_callers::answer_callers,
    arrivals::open,
    back_off::BackOff,
    careful::{self, Care},
    commit::{CameFrom, Committer, Evaluated},
    error::GiveUp,
    evaluate::{Evaluation, Verdict},
    evaluate_batch::{EvaluatedBatch, Evaluating, evaluate_batch},
    held_sources::HeldSources,
    metrics::ProcessorMetrics,
    publish_deliveries::DeliveryPublisher,
    published_before::PublishedBefore,
    settings::ProcessorSettings,
    take_partition,
    tell_events::Telling,
};

/// What every partition's loop works with.
#[derive(Clone)]
pub(crate) struct Workshop {
    pub(crate) settings: ProcessorSettings,
    pub(crate) broker: Broker,
    pub(crate) responder: Responder,
    pub(crate) store: Store,
    pub(crate) snapshots: SnapshotReader,
    pub(crate) metrics: ProcessorMetrics,
}

/// Works on a partition until `stop`: then what is in flight is finished, and nothing of it is left.
pub(crate) async fn consume(
    workshop: Workshop,
    lease: Lease,
    committed: Arc<AtomicU64>,
    stop: CancellationToken,
) -> Result<(), GiveUp> {
    let Some(sequence) = take_partition::committed_sequence(&workshop, &lease, &stop).await? else {
        return Ok(());
    };
    committed.store(sequence, Ordering::Release);
    let Some(reader) = take_partition::open_reader(&workshop, &lease, sequence, &stop).await? else {
        return Ok(());
    };
    let care = take_partition::care(&workshop, &lease).await?;
    let published_before = PublishedBefore::after_takeover(&workshop, &lease, &stop).await?;
    let held = HeldSources::load(&workshop, &lease).await?;
    let mut work = PartitionWork {
        workshop,
        lease,
        reader,
        care,
        published_before,
        held,
        committed,
    };
    let result = work.run(&stop).await;
    // Who was replaced leaves the mark to its successor, which may have set it.
    if result.is_ok()
        && let Err(error) = work.care.clear(&work.workshop.broker, &work.lease).await
    {
        tracing::warn!(partition = work.lease.partition(), %error, "the mark of the event in work is still set");
    }
    result
}

/// A partition that is worked on.
pub(crate) struct PartitionWork {
    pub(crate) workshop: Workshop,
    pub(crate) lease: Lease,
    reader: RawReader,
    published_before: PublishedBefore,
    pub(crate) care: Care,
    /// What is held of the partition, also where the source is paused no more.
    pub(crate) held: HeldSources,
    committed: Arc<AtomicU64>,
}

/// What was settled together.
pub(crate) struct Settled {
    /// How many events.
    pub(crate) events: usize,
    /// The sources of those that are held since, or were so before.
    pub(crate) sources: Vec<SourceId>,
}

impl PartitionWork {
    async fn run(&mut self, stop: &CancellationToken) -> Result<(), GiveUp> {
        while !stop.is_cancelled() {
            self.release(stop).await?;
            let (events, bytes) = (
                self.events_at_once(),
                self.workshop.settings.processor_batch_bytes,
            );
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                batch = self.reader.next_batch(events, bytes) => batch,
                () = self.held.until_released(&self.workshop.snapshots) => continue,
            };
            match batch {
                Ok(messages) => self.batch(messages, stop).await?,
                Err(error) => {
                    let error = GiveUp::of_reader(error)?;
                    tracing::warn!(partition = self.lease.partition(), %error, "reading the partition again");
                    BackOff::usual().pause().await;
                }
            }
        }
        Ok(())
    }

    /// How many events go together: they are worked on one by one while care is needed.
    pub(crate) fn events_at_once(&self) -> usize {
        match self.care.is_needed() {
            true => 1,
            false => self.workshop.settings.processor_batch_events,
        }
    }

    /// Works on a batch in as many commits as its size asks for. After `stop` the commit in work is
    /// the last one: whoever goes on begins after it.
    async fn batch(&mut self, messages: Vec<RawMessage>, stop: &CancellationToken) -> Result<(), GiveUp> {
        let mut left = messages.as_slice();
        while !left.is_empty() && !stop.is_cancelled() {
            let done = self.commit_front(left).await?;
            left = left.get(done..).unwrap_or_default();
        }
        Ok(())
    }

    /// Evaluates, publishes and commits as many of the first events as go together; gives their number.
    async fn commit_front(&mut self, messages: &[RawMessage]) -> Result<usize, GiveUp> {
        let started = Instant::now();
        // One by one while care is needed.
        let first = messages.first().map_or(0, |message| message.sequence);
        let poison = self.care.is_needed() && self.begin(first).await? == careful::Verdict::Poison;
        let partition = self.lease.partition();
        let opened = messages.iter().map(|message| open(partition, message)).collect();
        let evaluating = Evaluating {
            poison,
            held: Some(&self.held),
        };
        let batch = evaluate_batch(&self.workshop, &self.lease, opened, evaluating).await?;
        let through = batch.events.last().map_or(0, |(arrival, _)| arrival.sequence);
        let settled = self.settle(batch, CameFrom::Log, started).await?;
        for source in settled.sources {
            self.held.add(source);
        }
        self.committed.store(through, Ordering::Release);
        // A lost acknowledgement costs nothing: the committed sequence decides where to go on.
        if let Err(error) = self.reader.ack_through(through).await {
            GiveUp::of_reader(error)?;
        }
        if self.care.is_needed() {
            self.done(first).await?;
        }
        Ok(settled.events)
    }

    /// Publishes what was evaluated, answers who waits for nothing else, and commits it all.
    pub(crate) async fn settle(
        &self,
        batch: EvaluatedBatch,
        from: CameFrom,
        started: Instant,
    ) -> Result<Settled, GiveUp> {
        let (mut evaluated, memory) = (batch.events, batch.memory);
        self.publish(&mut evaluated).await?;
        answer_callers(&self.workshop, &self.lease, &evaluated).await?;
        let snapshot = self.workshop.snapshots.current();
        let committer = Committer {
            telling: Telling {
                snapshot: &snapshot,
                partitions: self.workshop.broker.settings().partitions,
            },
            store: &self.workshop.store,
            lease: &self.lease,
            metrics: &self.workshop.metrics,
            from,
        };
        committer.commit(&mut evaluated).await?;
        self.workshop.metrics.batch_events.observe(evaluated.len() as f64);
        self.workshop
            .metrics
            .batch_seconds
            .observe(started.elapsed().as_secs_f64());
        log(&evaluated);
        let is_counted =
            |evaluation: &Evaluation| from == CameFrom::Held || evaluation.verdict == Verdict::Held;
        let sources = evaluated.iter().filter(|(_, evaluation)| is_counted(evaluation));
        let settled = Settled {
            events: evaluated.len(),
            sources: sources.filter_map(|(arrival, _)| arrival.event.source).collect(),
        };
        // Large bodies have their memory until all that was made of them is stored.
        drop((evaluated, memory));
        Ok(settled)
    }

    pub(crate) async fn begin(&mut self, sequence: u64) -> Result<careful::Verdict, GiveUp> {
        let mut back_off = BackOff::usual();
        loop {
            match self
                .care
                .begin(&self.workshop.broker, &self.lease, sequence)
                .await
            {
                Ok(Some(verdict)) => return Ok(verdict),
                Ok(None) => {
                    let reason = "the mark of the event in work was set by another owner";
                    back_off.again(&self.lease, &reason).await?;
                }
                Err(error) => back_off.again(&self.lease, &error).await?,
            }
        }
    }

    pub(crate) async fn done(&mut self, sequence: u64) -> Result<(), GiveUp> {
        let mut back_off = BackOff::usual();
        while let Err(error) = self.care.done(&self.workshop.broker, &self.lease, sequence).await {
            back_off.again(&self.lease, &error).await?;
        }
        Ok(())
    }

    async fn publish(&self, evaluated: &mut [Evaluated]) -> Result<(), GiveUp> {
        let published = self
            .published_before
            .among(&self.workshop, &self.lease, evaluated)
            .await?;
        let deliveries: Vec<_> = evaluated
            .iter()
            .flat_map(|(_, evaluation)| &evaluation.deliveries)
            .filter(|delivery| !published.contains(&delivery.id))
            .collect();
        if deliveries.is_empty() {
            return Ok(());
        }
        let snapshot = self.workshop.snapshots.current();
        let publisher = DeliveryPublisher {
            publisher: &self.workshop.broker.publisher(),
            lease: &self.lease,
            snapshot: &snapshot,
            partitions: self.workshop.broker.settings().partitions,
            metrics: &self.workshop.metrics,
        };
        let dead = publisher.publish(deliveries).await?;
        for record in dead {
            let of_event = evaluated
                .iter_mut()
                .find(|(arrival, _)| arrival.event.id == record.delivery.event);
            if let Some((_, evaluation)) = of_event {
                evaluation
                    .deliveries
                    .retain(|delivery| delivery.id != record.delivery.id);
                evaluation.stillborn.push(record);
            }
        }
        Ok(())
    }
}

fn log(evaluated: &[Evaluated]) {
    for (arrival, evaluation) in evaluated {
        let (event, status) = (&arrival.event, evaluation.verdict.status().as_str());
        let (event_id, trace_id) = (event.id, event.trace_id());
        let deliveries = evaluation.deliveries.len();
        match &evaluation.verdict {
            Verdict::Failed(failure) => {
                tracing::info!(%event_id, trace_id, status, code = failure.code, detail = failure.detail, "event processed");
            }
            _ => tracing::debug!(%event_id, trace_id, status, deliveries, "event processed"),
        }
    }
}
