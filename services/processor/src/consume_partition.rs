//! The loop of one owned raw partition: read a batch, evaluate it, publish its deliveries, commit,
//! acknowledge. In that order, always: what is acknowledged is committed, and what is committed is
//! published.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::{Duration, Instant};

use hookrail_broker::{Broker, Lease, RawMessage, RawReader, SnapshotReader};
use hookrail_domain::snapshot::Snapshot;
use hookrail_runtime::clock;
use hookrail_store::{Store, StoreError, entities, event_keys, partition_progress};
use tokio_util::sync::CancellationToken;

use crate::{
    arrivals::{Opened, open},
    back_off::BackOff,
    careful::{self, Care},
    commit::{Committer, Evaluated},
    error::GiveUp,
    evaluate::{Arrival, Evaluation, Stored, Verdict, entity_keys, evaluate},
    metrics::ProcessorMetrics,
    publish_deliveries::DeliveryPublisher,
    read_event::{Failure, Reading, read},
    settings::ProcessorSettings,
};

/// How long a batch waits for its definitions before it says so and waits again.
const REVISION_WAIT: Duration = Duration::from_secs(5);
/// How long a sender's or caller's key is remembered.
const KEYS_REMEMBERED_MS: i64 = 24 * 3600 * 1000;
/// Bytes of bodies from which a batch is evaluated off the asynchronous threads.
const OFFLOAD_BYTES: u64 = 64 * 1024;

/// What every partition's loop works with.
#[derive(Clone)]
pub(crate) struct Workshop {
    pub(crate) settings: ProcessorSettings,
    pub(crate) broker: Broker,
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
    let Some(sequence) = take(&workshop, &lease, &stop).await? else {
        return Ok(());
    };
    committed.store(sequence, Ordering::Release);
    let Some(reader) = open_reader(&workshop, &lease, sequence, &stop).await? else {
        return Ok(());
    };
    let care = care(&workshop, &lease).await?;
    let mut work = PartitionWork {
        workshop,
        lease,
        reader,
        care,
        committed,
    };
    let result = work.run(&stop).await;
    if let Err(error) = work.care.clear(&work.workshop.broker, &work.lease).await {
        tracing::warn!(partition = work.lease.partition(), %error, "the mark of the event in work is still set");
    }
    result
}

/// The committed sequence; `None` = told to stop before it was known.
async fn take(workshop: &Workshop, lease: &Lease, stop: &CancellationToken) -> Result<Option<u64>, GiveUp> {
    let mut back_off = BackOff::usual();
    while lease.holds() && !stop.is_cancelled() {
        match partition_progress::take_partition(&workshop.store, lease.partition(), lease.epoch()).await {
            Ok(Some(sequence)) => return Ok(Some(sequence)),
            Ok(None) => return Err(GiveUp::Replaced),
            Err(error) => {
                tracing::warn!(partition = lease.partition(), %error, "taking the partition again");
                back_off.pause().await;
            }
        }
    }
    if stop.is_cancelled() {
        Ok(None)
    } else {
        Err(GiveUp::LeaseOver)
    }
}

async fn open_reader(
    workshop: &Workshop,
    lease: &Lease,
    committed: u64,
    stop: &CancellationToken,
) -> Result<Option<RawReader>, GiveUp> {
    let mut back_off = BackOff::usual();
    while lease.holds() && !stop.is_cancelled() {
        match RawReader::open(&workshop.broker, lease, committed).await {
            Ok(reader) => return Ok(Some(reader)),
            Err(error) => {
                let error = GiveUp::of_reader(error)?;
                tracing::warn!(partition = lease.partition(), %error, "opening the partition again");
                back_off.pause().await;
            }
        }
    }
    if stop.is_cancelled() {
        Ok(None)
    } else {
        Err(GiveUp::LeaseOver)
    }
}

async fn care(workshop: &Workshop, lease: &Lease) -> Result<Care, GiveUp> {
    let mut back_off = BackOff::usual();
    while lease.holds() {
        match Care::after_takeover(&workshop.broker, lease).await {
            Ok(care) => return Ok(care),
            Err(error) => {
                tracing::warn!(partition = lease.partition(), %error, "reading the partition's mark again");
                back_off.pause().await;
            }
        }
    }
    Err(GiveUp::LeaseOver)
}

struct PartitionWork {
    workshop: Workshop,
    lease: Lease,
    reader: RawReader,
    care: Care,
    committed: Arc<AtomicU64>,
}

impl PartitionWork {
    async fn run(&mut self, stop: &CancellationToken) -> Result<(), GiveUp> {
        loop {
            let settings = &self.workshop.settings;
            let events = if self.care.is_needed() {
                1
            } else {
                settings.processor_batch_events
            };
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                batch = self.reader.next_batch(events, settings.processor_batch_bytes) => batch,
            };
            match batch {
                Ok(messages) => self.batch(messages).await?,
                Err(error) => {
                    let error = GiveUp::of_reader(error)?;
                    tracing::warn!(partition = self.lease.partition(), %error, "reading the partition again");
                    BackOff::usual().pause().await;
                }
            }
        }
    }

    async fn batch(&mut self, messages: Vec<RawMessage>) -> Result<(), GiveUp> {
        let Some(through) = messages.last().map(|message| message.sequence) else {
            return Ok(());
        };
        let started = Instant::now();
        let poison = self.care.is_needed() && self.begin(through).await? == careful::Verdict::Poison;
        let mut evaluated = self.evaluate(messages, poison).await?;
        self.publish(&mut evaluated).await?;
        let committer = Committer {
            store: &self.workshop.store,
            lease: &self.lease,
            metrics: &self.workshop.metrics,
        };
        committer.commit(&mut evaluated).await?;
        self.committed.store(through, Ordering::Release);
        self.workshop.metrics.batch_events.observe(evaluated.len() as f64);
        self.workshop
            .metrics
            .batch_seconds
            .observe(started.elapsed().as_secs_f64());
        log(&evaluated);
        // A lost acknowledgement costs nothing: the committed sequence decides where to go on.
        if let Err(error) = self.reader.ack_through(through).await {
            GiveUp::of_reader(error)?;
        }
        if self.care.is_needed() {
            self.done().await?;
        }
        Ok(())
    }

    async fn begin(&mut self, sequence: u64) -> Result<careful::Verdict, GiveUp> {
        let mut back_off = BackOff::usual();
        loop {
            match self
                .care
                .begin(&self.workshop.broker, &self.lease, sequence)
                .await
            {
                Ok(verdict) => return Ok(verdict),
                Err(error) => self.again(&error, &mut back_off).await?,
            }
        }
    }

    async fn done(&mut self) -> Result<(), GiveUp> {
        let mut back_off = BackOff::usual();
        while let Err(error) = self.care.done(&self.workshop.broker, &self.lease).await {
            self.again(&error, &mut back_off).await?;
        }
        Ok(())
    }

    async fn again(
        &self,
        error: &(dyn std::fmt::Display + Send + Sync),
        back_off: &mut BackOff,
    ) -> Result<(), GiveUp> {
        if !self.lease.holds() {
            return Err(GiveUp::LeaseOver);
        }
        tracing::warn!(partition = self.lease.partition(), %error, "trying again");
        back_off.pause().await;
        Ok(())
    }

    async fn evaluate(&self, messages: Vec<RawMessage>, poison: bool) -> Result<Vec<Evaluated>, GiveUp> {
        let partition = self.lease.partition();
        let opened: Vec<Opened> = messages.iter().map(|message| open(partition, message)).collect();
        let revision = opened
            .iter()
            .map(|opened| opened.arrival.event.revision)
            .max()
            .unwrap_or_default();
        let snapshot = self.snapshot(revision).await?;
        let readings = read_all(&snapshot, &opened, poison).await;
        let arrivals: Vec<Arrival> = opened.into_iter().map(|opened| opened.arrival).collect();
        let stored = self.load(&snapshot, &arrivals, &readings).await?;
        let limit = self.workshop.broker.max_inline_bytes();
        let evaluations = evaluate(&snapshot, &arrivals, readings, stored, limit);
        Ok(arrivals.into_iter().zip(evaluations).collect())
    }

    /// The definitions, not older than the newest under which an event was accepted.
    async fn snapshot(&self, revision: u64) -> Result<Arc<Snapshot>, GiveUp> {
        while !self.workshop.snapshots.wait_for(revision, REVISION_WAIT).await {
            if !self.lease.holds() {
                return Err(GiveUp::LeaseOver);
            }
            tracing::warn!(
                partition = self.lease.partition(),
                revision,
                "waiting for the definitions"
            );
        }
        Ok(self.workshop.snapshots.current())
    }

    async fn load(
        &self,
        snapshot: &Snapshot,
        arrivals: &[Arrival],
        readings: &[Reading],
    ) -> Result<Stored, GiveUp> {
        let keys = entity_keys(snapshot, arrivals, readings);
        let keyed = arrivals.iter().map(|arrival| &arrival.event);
        let keyed = keyed.filter(|event| event.idempotency_key.is_some() || event.dedupe_key.is_some());
        let message_ids: Vec<String> = keyed.map(|event| event.message_id()).collect();
        let mut back_off = BackOff::usual();
        loop {
            match load(&self.workshop.store, &keys, &message_ids).await {
                Ok(stored) => return Ok(stored),
                Err(error) => {
                    self.workshop
                        .metrics
                        .store_retries
                        .with_label_values(&["load"])
                        .inc();
                    self.again(&error, &mut back_off).await?;
                }
            }
        }
    }

    async fn publish(&self, evaluated: &mut [Evaluated]) -> Result<(), GiveUp> {
        let deliveries: Vec<_> = evaluated
            .iter()
            .flat_map(|(_, evaluation)| &evaluation.deliveries)
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

/// Reads all events; where there is much to decode, off the asynchronous threads.
async fn read_all(snapshot: &Arc<Snapshot>, opened: &[Opened], poison: bool) -> Vec<Reading> {
    let one = move |snapshot: &Snapshot, opened: &Opened| match &opened.unreadable {
        _ if poison => Reading::Failed(Failure::new(
            "poison",
            "processing it ended the process several times",
        )),
        Some(failure) => Reading::Failed(failure.clone()),
        None => read(snapshot, &opened.arrival.event),
    };
    let bytes: u64 = opened.iter().map(|opened| opened.arrival.event.body.size()).sum();
    if bytes < OFFLOAD_BYTES {
        return opened.iter().map(|opened| one(snapshot, opened)).collect();
    }
    let (snapshot, opened) = (Arc::clone(snapshot), opened.to_vec());
    let reading =
        tokio::task::spawn_blocking(move || opened.iter().map(|opened| one(&snapshot, opened)).collect());
    match reading.await {
        Ok(readings) => readings,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

async fn load(
    store: &Store,
    keys: &[entities::EntityKey],
    message_ids: &[String],
) -> Result<Stored, StoreError> {
    let since = clock::now_ms() - KEYS_REMEMBERED_MS;
    Ok(Stored {
        entities: entities::load(store.reader(), keys).await?,
        first_events: event_keys::load(store.reader(), message_ids, since).await?,
    })
}

fn log(evaluated: &[Evaluated]) {
    for (
        arrival,
        Evaluation {
            verdict, deliveries, ..
        },
    ) in evaluated
    {
        let event = &arrival.event;
        let (event_id, trace_id, status) = (event.id, event.trace_id(), verdict.status().as_str());
        let deliveries = deliveries.len();
        match verdict {
            Verdict::Failed(failure) => {
                tracing::info!(%event_id, trace_id, status, code = failure.code, detail = failure.detail, "event processed");
            }
            _ => tracing::debug!(%event_id, trace_id, status, deliveries, "event processed"),
        }
    }
}
