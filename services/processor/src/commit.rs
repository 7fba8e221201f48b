//! Committing a batch: all that its events came to, and how far the partition is processed, in one
//! transaction. Where the data is at fault the batch is split until the one event that the database
//! refuses is alone, and that event fails; where the database is, the same is tried again.

use std::collections::BTreeMap;
use std::ops::Range;

use hookrail_broker::Lease;
use hookrail_domain::{
    event::{EventKey, EventStatus},
    ids::SourceId,
    journal::DeliveryFacts,
};
use hookrail_runtime::clock;
use hookrail_store::{
    Store, StoreError, WriteTransaction, deliveries, entities, entity_versions, event_entities,
    event_keys::{self, FirstEvent, KeyWrite},
    events::{self, EventWrite},
    partition_progress,
    source_counters::{self, Counts},
    source_warnings::{self, Finding, WarningKey},
};

use crate::{
    back_off::BackOff,
    error::GiveUp,
    evaluate::{Arrival, Evaluation, Verdict},
    hold_events,
    metrics::ProcessorMetrics,
    read_event::Failure,
    tell_events::Telling,
};

/// What is needed to commit batches of one partition.
pub(crate) struct Committer<'a> {
    pub(crate) store: &'a Store,
    pub(crate) lease: &'a Lease,
    pub(crate) telling: Telling<'a>,
    pub(crate) metrics: &'a ProcessorMetrics,
    pub(crate) from: CameFrom,
}

/// Where the events of a batch come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CameFrom {
    /// The log: the commit says how far it is processed.
    Log,
    /// What was held: the commit says that it is held no more.
    Held,
}

/// An event and what it came to.
pub(crate) type Evaluated = (Arrival, Evaluation);

impl Committer<'_> {
    /// Commits all events of a batch, in order.
    pub(crate) async fn commit(&self, batch: &mut [Evaluated]) -> Result<(), GiveUp> {
        // Parts still to commit, the next one last.
        let mut parts = Vec::from_iter([Range {
            start: 0,
            end: batch.len(),
        }]);
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let events = &mut batch[part.clone()];
            match self.commit_part(events).await? {
                Part::Committed => self.count(events),
                Part::Refused(error) if events.len() > 1 => {
                    tracing::warn!(
                        partition = self.lease.partition(),
                        events = events.len(),
                        error,
                        "splitting a batch"
                    );
                    let middle = part.start + part.len() / 2;
                    parts.extend([middle..part.end, part.start..middle]);
                }
                Part::Refused(error) => {
                    fail(&mut events[0], &error);
                    parts.push(part);
                }
            }
        }
        Ok(())
    }

    /// One transaction, tried until the database takes or refuses it.
    async fn commit_part(&self, events: &[Evaluated]) -> Result<Part, GiveUp> {
        let mut back_off = BackOff::usual();
        loop {
            if !self.lease.holds() {
                return Err(GiveUp::LeaseOver);
            }
            match self.transaction(events).await {
                Ok(true) => return Ok(Part::Committed),
                Ok(false) => return Err(GiveUp::Replaced),
                Err(error) if error.is_data_error() && !is_bare(events) => {
                    return Ok(Part::Refused(error.to_string()));
                }
                Err(error) => {
                    self.metrics.store_retries.with_label_values(&["commit"]).inc();
                    tracing::warn!(partition = self.lease.partition(), %error, "committing a batch again");
                    back_off.pause().await;
                }
            }
        }
    }

    /// `false`: a newer owner has the partition.
    async fn transaction(&self, events: &[Evaluated]) -> Result<bool, StoreError> {
        let now = clock::now_ms();
        let transaction = self.store.write().await?;
        if !self.claim(&transaction, events).await? {
            transaction.rollback().await?;
            return Ok(false);
        }
        let rows: Vec<EventWrite<'_>> = firsts(events)
            .map(|evaluated| event_row(evaluated, now))
            .collect();
        match self.from {
            CameFrom::Log => events::insert(&*transaction, &rows).await?,
            CameFrom::Held => events::settle_held(&*transaction, &rows).await?,
        };
        write_all(&transaction, events, now).await?;
        let stillborn = events.iter().flat_map(|(_, evaluation)| &evaluation.stillborn);
        self.telling.of_deaths(&transaction, stillborn).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Takes the events for this owner; `false` where a newer one has the partition. First of all: it holds the
    /// partition's row, so a takeover waits for this commit, or wins before it.
    async fn claim(&self, transaction: &WriteTransaction, events: &[Evaluated]) -> Result<bool, StoreError> {
        let (partition, epoch) = (self.lease.partition(), self.lease.epoch());
        match self.from {
            CameFrom::Log => {
                let through = events.last().map_or(0, |(arrival, _)| arrival.sequence);
                partition_progress::advance(&**transaction, partition, epoch, through).await
            }
            CameFrom::Held => {
                let is_owner = partition_progress::still_owned(&**transaction, partition, epoch).await?;
                Ok(is_owner && hold_events::release(transaction, partition, events).await?)
            }
        }
    }

    fn count(&self, events: &[Evaluated]) {
        for (_, evaluation) in firsts(events) {
            match self.from {
                CameFrom::Log => {}
                CameFrom::Held => self.metrics.released.inc(),
            }
            if evaluation.verdict == Verdict::Held {
                self.metrics.held.inc();
                continue;
            }
            self.metrics.count(evaluation.verdict.status());
            self.metrics
                .deliveries_planned
                .inc_by(evaluation.deliveries.len() as u64);
        }
    }
}

enum Part {
    Committed,
    Refused(String),
}

/// An event that failed for its data, of which nothing is left to write but that.
fn is_bare(events: &[Evaluated]) -> bool {
    match events {
        [(_, evaluation)] => {
            matches!(&evaluation.verdict, Verdict::Failed(failure) if failure.code == REFUSED)
        }
        _ => false,
    }
}

/// The code of an event that the database refuses.
const REFUSED: &str = "store.refused";

fn fail((_, evaluation): &mut Evaluated, error: &str) {
    tracing::error!(error, "the database refuses an event's data; the event fails");
    *evaluation = Evaluation {
        verdict: Verdict::Failed(Failure::new(REFUSED, error)),
        ..Evaluation::default()
    };
}

/// The events that lie in the log for the first time.
fn firsts(events: &[Evaluated]) -> impl Iterator<Item = &Evaluated> {
    events.iter().filter(|(_, evaluation)| evaluation.is_first())
}

async fn write_all(transaction: &WriteTransaction, events: &[Evaluated], now: i64) -> Result<(), StoreError> {
    let connection = &**transaction;
    let entities = events
        .iter()
        .flat_map(|(_, evaluation)| evaluation.entities.iter().cloned())
        .collect();
    entities::upsert(connection, entities).await?;
    let versions: Vec<_> = events
        .iter()
        .flat_map(|(_, evaluation)| &evaluation.versions)
        .collect();
    let trims: Vec<_> = events
        .iter()
        .flat_map(|(_, evaluation)| &evaluation.trims)
        .collect();
    entity_versions::write(connection, &versions, &trims).await?;
    hold_events::hold(connection, events).await?;
    let about: Vec<_> = events
        .iter()
        .flat_map(|(_, evaluation)| evaluation.about.iter().cloned())
        .collect();
    event_entities::insert(connection, &about).await?;
    let planned: Vec<DeliveryFacts> = events
        .iter()
        .flat_map(|(_, evaluation)| evaluation.deliveries.iter().map(DeliveryFacts::from))
        .collect();
    deliveries::insert_planned(connection, &planned).await?;
    let stillborn: Vec<_> = events
        .iter()
        .flat_map(|(_, evaluation)| evaluation.stillborn.iter().cloned())
        .collect();
    deliveries::raise(connection, &stillborn).await?;
    let keys: Vec<KeyWrite> = events
        .iter()
        .flat_map(|evaluated| keys_of(evaluated, now))
        .collect();
    event_keys::remember(connection, &keys).await?;
    source_counters::raise(connection, &counts(events)).await?;
    source_warnings::write(connection, &findings(events)).await
}

/// An event's keys as they are remembered: from when the broker stored it, and, since what repeats it
/// may wait in the log as long as it did, as long from now on.
fn keys_of((arrival, evaluation): &Evaluated, now: i64) -> Vec<KeyWrite> {
    let write = |key: &EventKey| KeyWrite {
        id: key.id.clone(),
        first: FirstEvent {
            event: arrival.event.id,
            body_hash: Some(arrival.event.body_hash()),
            seen_at: arrival.stored_at,
        },
        expires_at: now + key.window_ms,
    };
    evaluation.keys.iter().map(write).collect()
}

fn event_row<'a>((arrival, evaluation): &'a Evaluated, now: i64) -> EventWrite<'a> {
    let (error, duplicate_of) = match &evaluation.verdict {
        Verdict::Failed(failure) => (Some((failure.code, failure.detail.as_str())), None),
        Verdict::Duplicate(first) => (None, Some(*first)),
        Verdict::Processed | Verdict::Filtered | Verdict::Again | Verdict::Held => (None, None),
    };
    EventWrite {
        event: &arrival.event,
        partition: arrival.partition,
        sequence: arrival.sequence,
        status: evaluation.verdict.status(),
        error,
        duplicate_of,
        processed_at: now,
    }
}

fn counts(events: &[Evaluated]) -> BTreeMap<SourceId, Counts> {
    let mut counts: BTreeMap<SourceId, Counts> = BTreeMap::new();
    for (arrival, evaluation) in firsts(events) {
        let status: EventStatus = evaluation.verdict.status();
        // What a source's fetcher was answered, or a person wants deleted, is nothing that the source received.
        if let (Some(source), false) = (arrival.event.source, arrival.event.internal) {
            counts
                .entry(source)
                .or_default()
                .add(status, arrival.event.accepted_at);
        }
    }
    counts
}

/// The last finding about each rule: later events overrule earlier ones.
fn findings(events: &[Evaluated]) -> BTreeMap<WarningKey, Finding> {
    let all = events
        .iter()
        .flat_map(|(_, evaluation)| evaluation.findings.iter().cloned());
    all.collect()
}
