//! A chunk of an import: its lines put into the log in their order, and what became of them noted.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use hookrail_broker::{Lease, OutMessage, PublishError, codec};
use hookrail_domain::{
    event::Event,
    ids::{ImportId, SourceId},
    import::ImportOf,
    partition,
};
use hookrail_runtime::TraceParent;
use hookrail_store::{
    import_lines::{self, ChunkRow, FailureRow},
    imports::{self, ImportRow, Progress},
    partition_progress,
};

use crate::{
    back_off::BackOff, consume_partition::Workshop, error::GiveUp, evaluate_batch::offloaded, jobs::JobError,
};

/// Events of a partition that may wait to be processed before an import adds more: what senders send
/// meanwhile waits behind so many.
const AHEAD_MAX: u64 = 2_000;
/// How full a partition may be, in percent, before an import adds more: the rest is for senders.
const FULL_PERCENT: u64 = 80;
/// Partitions that are written to beside each other.
const PARTITIONS_AT_ONCE: usize = 16;
/// The longest pause before a publish is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// An import at work.
pub(crate) struct Loading<'a> {
    pub(crate) workshop: &'a Workshop,
    pub(crate) lease: &'a Lease,
    pub(crate) import: ImportId,
    pub(crate) row: &'a ImportRow,
}

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Loaded {
    /// A chunk was loaded.
    Chunk,
    /// There are no more.
    Nothing,
    /// Not now: it waits for this.
    Waits(&'static str),
    /// It can't go on, for this reason.
    Refused(&'static str),
}

/// Lines as events, in their order, by partition.
#[derive(Default)]
struct Lines {
    events: BTreeMap<u32, Vec<Event>>,
    accepted: u64,
    failures: Vec<FailureRow>,
}

impl Lines {
    fn fail(&mut self, number: u64, reason: &str, detail: String) {
        self.failures.push(FailureRow {
            line: i64::try_from(number).unwrap_or(i64::MAX),
            reason: reason.to_owned(),
            detail,
        });
    }
}

/// Loads the import's next chunk.
pub(crate) async fn load(loading: &Loading<'_>) -> Result<Loaded, JobError> {
    let reader = loading.workshop.store.reader();
    let Some(chunk) = import_lines::first(reader, loading.import).await? else {
        return Ok(Loaded::Nothing);
    };
    let lines = match lines(loading, &chunk).await {
        Ok(lines) => lines,
        Err(other) => return Ok(other),
    };
    if !has_room(loading.workshop, lines.events.keys().copied()).await? {
        return Ok(Loaded::Waits("room"));
    }
    publish(loading, &lines).await?;
    commit(loading, &chunk, &lines).await?;
    Ok(Loaded::Chunk)
}

/// The chunk's lines under the definitions in force.
async fn lines(loading: &Loading<'_>, chunk: &ChunkRow) -> Result<Lines, Loaded> {
    let snapshot = loading.workshop.snapshots.current();
    if snapshot.revision() < loading.row.revision.unsigned_abs() {
        return Err(Loaded::Waits("definitions"));
    }
    let id = loading.row.source.parse::<SourceId>().ok();
    let Some(source) = id.and_then(|id| snapshot.live_source(id)).cloned() else {
        return Err(Loaded::Refused("its source was deleted"));
    };
    if !source.spec.enabled {
        return Err(Loaded::Waits("source_enabled"));
    }
    if source.spec.paused {
        return Err(Loaded::Waits("source_resumed"));
    }
    let (import, accepted_at) = (loading.import, loading.row.created_at);
    let revision = snapshot.revision();
    let partitions = loading.workshop.broker.settings().partitions;
    let (first_line, body) = (chunk.first_line.unsigned_abs(), chunk.body.clone());
    let most = loading.workshop.broker.max_inline_bytes();
    Ok(offloaded(true, move || {
        let of = ImportOf {
            import,
            accepted_at,
            source: &source,
            revision,
            partitions,
        };
        read(&of, first_line, &body, most)
    })
    .await)
}

/// Reads the lines of a chunk; one of more than `most` bytes does not fit into a message of this broker.
fn read(of: &ImportOf<'_>, first_line: u64, body: &[u8], most: usize) -> Lines {
    let mut lines = Lines::default();
    // Each line has its line feed, so there is nothing behind the last one.
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    for (number, line) in (first_line..).zip(body.split(|byte| *byte == b'\n')) {
        match of.event(number, line) {
            Ok(None) => {}
            Ok(Some(event)) if event.body.size() > most as u64 => {
                let detail = format!("it has more than the {most} bytes that a message may have");
                lines.fail(number, "too_large", detail);
            }
            Ok(Some(mut event)) => {
                event.traceparent = trace_of(&event);
                lines.accepted += 1;
                lines.events.entry(event.id.partition()).or_default().push(event);
            }
            Err(error) => lines.fail(number, "malformed", error.to_string()),
        }
    }
    lines
}

/// The same event has the same trace, however often it is published.
fn trace_of(event: &Event) -> String {
    let hash = partition::hash(&[b"trace", &event.id.as_u128().to_be_bytes()]);
    let mut trace = [0; 24];
    trace.copy_from_slice(&hash[..24]);
    TraceParent::new(trace).to_string()
}

async fn has_room(workshop: &Workshop, partitions: impl Iterator<Item = u32>) -> Result<bool, JobError> {
    let committed = partition_progress::all_committed(workshop.store.reader()).await?;
    let committed: HashMap<u32, u64> = committed.into_iter().collect();
    for partition in partitions {
        let log = workshop.broker.raw_state(partition).await?;
        let behind = committed.get(&partition).copied().unwrap_or_default();
        let is_full = u128::from(log.bytes) * 100 >= u128::from(log.max_bytes) * u128::from(FULL_PERCENT);
        if is_full || log.last_sequence.saturating_sub(behind) > AHEAD_MAX {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Puts the events into the log: those of a partition one after another, partitions beside each other.
async fn publish(loading: &Loading<'_>, lines: &Lines) -> Result<(), GiveUp> {
    // Boxed, since the compiler can't see that a stream of borrowing futures is `Send`.
    let partitions: Vec<BoxFuture<'_, _>> = lines
        .events
        .iter()
        .map(|(partition, events)| publish_in(loading, *partition, events).boxed())
        .collect();
    stream::iter(partitions)
        .buffer_unordered(PARTITIONS_AT_ONCE)
        .try_collect::<()>()
        .await
}

async fn publish_in(loading: &Loading<'_>, partition: u32, events: &[Event]) -> Result<(), GiveUp> {
    let publisher = loading.workshop.broker.publisher();
    for event in events {
        let id = event.id.to_string();
        let payload = codec::encode_event(event.clone());
        let mut back_off = BackOff::new(Duration::from_millis(50), LONGEST_PAUSE);
        loop {
            if !loading.lease.holds() {
                return Err(GiveUp::LeaseOver);
            }
            let message = OutMessage {
                id: &id,
                body_hash: None,
                event_id: Some(&id),
                payload: payload.clone(),
            };
            match publisher
                .publish_event(partition, &loading.row.source, message)
                .await
            {
                Ok(_) => break,
                Err(PublishError::Fenced) => return Err(GiveUp::Replaced),
                // What is too large for a message is no event, so this passes: room, a leader, a connection.
                Err(error) => {
                    tracing::warn!(event = id, partition, %error, "publishing an imported event again");
                    back_off.pause().await;
                }
            }
        }
    }
    Ok(())
}

async fn commit(loading: &Loading<'_>, chunk: &ChunkRow, lines: &Lines) -> Result<(), JobError> {
    let (import, epoch) = (loading.import, loading.lease.epoch());
    let progress = Progress {
        lines: chunk.lines.unsigned_abs(),
        accepted: lines.accepted,
        failed: lines.failures.len() as u64,
    };
    let transaction = loading.workshop.store.write().await?;
    if !imports::advance(&*transaction, import, epoch, progress).await? {
        transaction.rollback().await?;
        return Err(GiveUp::Replaced.into());
    }
    import_lines::delete(&*transaction, import, chunk.first_line).await?;
    import_lines::keep_failures(&*transaction, import, &lines.failures).await?;
    Ok(transaction.commit().await?)
}
