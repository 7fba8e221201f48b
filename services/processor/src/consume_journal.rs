//! Writing the journal: what ingress and dispatcher report, and the dead letters with their bodies,
//! in batches. A record is acknowledged once it is committed; one that comes again changes nothing.

use hookrail_broker::{BrokerError, JournalMessage, JournalReader, JournalStream, codec};
use hookrail_domain::journal::{AttemptRecord, CountRecord, Record, RejectionRecord, StateRecord};
use hookrail_runtime::clock;
use hookrail_store::{
    StoreError, WriteTransaction, attempts, dead_letters, deliveries, rejections, source_refusals,
    source_warnings,
};
use tokio_util::sync::CancellationToken;

use crate::{
    back_off::BackOff,
    consume_partition::Workshop,
    dead_bodies::{DeadBodies, TOGETHER_BYTES},
    fetch_bodies::apart,
    fetch_findings,
    tell_events::Telling,
};

/// A record with its sequence in its stream.
type Numbered = (u64, Entry);

/// What the two streams hold.
enum Entry {
    Journal(Record),
    Dead(Box<codec::DeadLetter>),
}

/// Writes what comes in `stream` until `shutdown`.
pub(crate) async fn consume_journal(workshop: Workshop, stream: JournalStream, shutdown: CancellationToken) {
    let mut back_off = BackOff::usual();
    while !shutdown.is_cancelled() {
        let result = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            reader = JournalReader::open(&workshop.broker, stream) => reader,
        };
        let error = match result {
            Ok(mut reader) => match write_from(&workshop, &mut reader, stream, &shutdown).await {
                Ok(()) => return,
                Err(error) => error,
            },
            Err(error) => error,
        };
        tracing::warn!(?stream, %error, "reading the journal again");
        back_off.pause().await;
    }
}

async fn write_from(
    workshop: &Workshop,
    reader: &mut JournalReader,
    stream: JournalStream,
    shutdown: &CancellationToken,
) -> Result<(), BrokerError> {
    loop {
        let messages = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            messages = reader.next_batch(workshop.settings.processor_journal_batch) => messages?,
        };
        let records = read_all(workshop, &messages, stream);
        if !commit(workshop, &records, shutdown).await {
            // Not acknowledged, so another writer, or this one after its restart, gets them.
            return Ok(());
        }
        reader.ack(&messages).await?;
    }
}

/// The records that can be read; the others are counted and let go, or they would come for ever.
fn read_all(workshop: &Workshop, messages: &[JournalMessage], stream: JournalStream) -> Vec<Numbered> {
    let read = |message: &JournalMessage| match stream {
        JournalStream::Journal => codec::decode_record(&message.payload).map(Entry::Journal),
        JournalStream::Dead => codec::decode_dead(&message.payload).map(|dead| Entry::Dead(Box::new(dead))),
    };
    let mut records = Vec::with_capacity(messages.len());
    for message in messages {
        match read(message) {
            Ok(record) => records.push((message.sequence, record)),
            Err(error) => {
                workshop
                    .metrics
                    .journal_records
                    .with_label_values(&["unreadable"])
                    .inc();
                tracing::error!(sequence = message.sequence, ?stream, %error, "a journal record can't be read");
            }
        }
    }
    records
}

/// Commits all records, splitting where the database refuses the data. `false`: told to stop before.
async fn commit(workshop: &Workshop, records: &[Numbered], shutdown: &CancellationToken) -> bool {
    let mut parts = by_size(records);
    while let Some(part) = parts.pop() {
        let mut back_off = BackOff::usual();
        loop {
            let letters: Vec<&codec::DeadLetter> = part.iter().filter_map(letter).collect();
            let bodies = match DeadBodies::fetch(&workshop.broker, &letters).await {
                Ok(bodies) => bodies,
                Err(error) => {
                    tracing::warn!(%error, "reading the bodies of dead letters again");
                    if shutdown.is_cancelled() {
                        return false;
                    }
                    back_off.pause().await;
                    continue;
                }
            };
            let result = if part.is_empty() {
                Ok(())
            } else {
                transaction(workshop, part, &bodies).await
            };
            match result {
                Ok(()) => {
                    bodies.remove(&workshop.broker).await;
                    workshop
                        .metrics
                        .journal_records
                        .with_label_values(&["written"])
                        .inc_by(part.len() as u64);
                    break;
                }
                Err(error) if error.is_data_error() && part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                    break;
                }
                Err(error) if error.is_data_error() => {
                    workshop
                        .metrics
                        .journal_records
                        .with_label_values(&["refused"])
                        .inc();
                    tracing::error!(sequence = part[0].0, %error, "the database refuses a journal record");
                    break;
                }
                Err(error) => {
                    workshop
                        .metrics
                        .store_retries
                        .with_label_values(&["journal"])
                        .inc();
                    tracing::warn!(%error, "writing the journal again");
                    if shutdown.is_cancelled() {
                        return false;
                    }
                    back_off.pause().await;
                }
            }
        }
    }
    true
}

/// The records in parts, the next one last: large bodies of dead letters go a few at a time.
fn by_size(records: &[Numbered]) -> Vec<&[Numbered]> {
    let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (index, record) in records.iter().enumerate() {
        let own = letter(record).map_or(0, |letter| apart(&letter.delivery.body));
        if bytes > 0 && bytes + own > TOGETHER_BYTES {
            parts.push(&records[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += own;
    }
    parts.push(&records[start..]);
    parts.reverse();
    parts
}

fn letter((_, entry): &Numbered) -> Option<&codec::DeadLetter> {
    match entry {
        Entry::Dead(dead) => Some(dead),
        Entry::Journal(_) => None,
    }
}

async fn transaction(
    workshop: &Workshop,
    records: &[Numbered],
    bodies: &DeadBodies,
) -> Result<(), StoreError> {
    let snapshot = workshop.snapshots.current();
    let telling = Telling {
        snapshot: &snapshot,
        partitions: workshop.broker.settings().partitions,
    };
    let transaction = workshop.store.write().await?;
    let mut sorted = Sorted::default();
    for (sequence, entry) in records {
        sorted.add(*sequence, entry);
    }
    sorted.write(&transaction, bodies).await?;
    let deaths = sorted.dead.iter().map(|dead| &dead.state);
    telling.of_deaths(&transaction, deaths).await?;
    transaction.commit().await
}

/// Records by the table that they go to.
#[derive(Default)]
struct Sorted<'a> {
    states: Vec<StateRecord>,
    rejections: Vec<(u64, &'a RejectionRecord)>,
    counts: Vec<&'a CountRecord>,
    dead: Vec<&'a codec::DeadLetter>,
}

impl<'a> Sorted<'a> {
    fn add(&mut self, sequence: u64, entry: &'a Entry) {
        match entry {
            Entry::Journal(Record::State(record)) => self.states.push((**record).clone()),
            Entry::Journal(Record::Rejection(record)) => self.rejections.push((sequence, record)),
            Entry::Journal(Record::Count(record)) => self.counts.push(record),
            Entry::Dead(dead) => {
                self.states.push(dead.state.clone());
                self.dead.push(dead);
            }
        }
    }

    fn attempts(&self) -> Vec<AttemptRecord> {
        let of = |state: &StateRecord| {
            let attempt = (**state.attempt.as_ref()?).clone();
            let delivery = state.delivery.clone();
            Some(AttemptRecord { delivery, attempt })
        };
        self.states.iter().filter_map(of).collect()
    }

    async fn write(&self, transaction: &WriteTransaction, bodies: &DeadBodies) -> Result<(), StoreError> {
        let connection = &**transaction;
        deliveries::raise(connection, &self.states).await?;
        source_warnings::write(connection, &fetch_findings::of_fates(&self.states)).await?;
        attempts::insert(connection, &self.attempts()).await?;
        let died_at = |dead: &codec::DeadLetter| dead.state.settled_at.unwrap_or(dead.delivery.accepted_at);
        let dead: Vec<_> = self
            .dead
            .iter()
            .map(|dead| (bodies.complete(&dead.delivery), died_at(dead)))
            .collect();
        let dead: Vec<_> = dead.iter().map(|(delivery, at)| (delivery, *at)).collect();
        dead_letters::insert(connection, &dead).await?;
        rejections::insert(connection, &self.rejections).await?;
        source_refusals::count(connection, &self.counts, clock::now_ms()).await
    }
}
