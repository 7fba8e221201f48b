//! How writes reach the parked stream: each under the partition's fence, each sent once.
//!
//! Without replicas many are on their way at once, one by one. With them the server takes one fenced
//! write at a time and refuses others as if the fence had moved; so those that wait are gathered into
//! one atomic batch, with the fence on its first message, while the batch before is on its way.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::client::{Request, RequestErrorKind};
use async_nats::header::{NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::{Semaphore, oneshot};

use crate::connection::Broker;
use crate::error::{BrokerError, ReaderError};
use crate::fence::{HEADER_EXPECTED_SEQUENCE, HEADER_EXPECTED_SUBJECT, HEADER_ROLLUP};
use crate::group_consumer::replaced;
use crate::lease::Lease;
use crate::parked_store::Append;
use crate::publish::is_refusal;
use crate::random::random_bits;

/// How many writes of a partition may be on their way at once, one of a lane at most.
const WRITES_IN_FLIGHT_MAX: usize = 200;
/// How many messages one batch has at most; the server's own limit is 1,000.
const BATCH_MESSAGES_MAX: usize = 200;
/// How many bytes of payload one batch has at most, unless its only message has more.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One message for the parked stream; the fence is added when it is sent.
#[derive(Clone)]
pub(crate) struct Write {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

type Outcome = Result<Append, ReaderError>;

/// A write that waits for its batch, and who wants to know what became of it.
struct Waiting {
    write: Write,
    done: oneshot::Sender<Outcome>,
}

/// Writes to the parked stream for one partition, under a lease. Clones are the same.
#[derive(Clone)]
pub(crate) struct ParkedWriter {
    broker: Broker,
    lease: Lease,
    fence_sequence: u64,
    turns: Arc<Semaphore>,
    /// Where there are replicas: what waits for the next batch. As many as the engine has under way.
    waiting: Option<Arc<Mutex<VecDeque<Waiting>>>>,
}

/// The server's answer to a write, or to a batch's last message.
#[derive(Deserialize)]
struct Stored {
    seq: u64,
    /// Messages of the batch.
    count: Option<u64>,
}

/// Why a write, or all of a batch, has no sequence.
#[derive(Clone)]
enum Failed {
    Refused(String),
    Replaced,
    /// A newer owner has moved the fence.
    Fenced,
    Unknown(String),
}

impl ParkedWriter {
    pub(crate) fn new(broker: &Broker, lease: &Lease, fence_sequence: u64) -> ParkedWriter {
        let replicated = broker.settings().replicas > 1;
        let turns = if replicated { 1 } else { WRITES_IN_FLIGHT_MAX };
        ParkedWriter {
            broker: broker.clone(),
            lease: lease.clone(),
            fence_sequence,
            turns: Arc::new(Semaphore::new(turns)),
            waiting: replicated.then(Arc::default),
        }
    }

    /// Writes it, alone or in a batch with others.
    pub(crate) async fn write(&self, write: Write) -> Outcome {
        if let Some(waiting) = &self.waiting {
            return self.write_in_batch(waiting, write).await;
        }
        let _turn = self.turn().await;
        self.check_lease()?;
        let subject = write.subject.clone();
        let stored = self.request(write, self.fence()).await;
        stored.map_or_else(
            |failed| self.outcome(failed, &subject),
            |stored| Ok(Append::Stored(stored.seq)),
        )
    }

    async fn turn(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.turns.acquire().await.expect("the semaphore is never closed")
    }

    fn check_lease(&self) -> Result<(), ReaderError> {
        if self.lease.holds() {
            Ok(())
        } else {
            Err(replaced(&self.lease))
        }
    }

    /// Whoever gets the turn sends what waits, for all.
    async fn write_in_batch(&self, waiting: &Mutex<VecDeque<Waiting>>, write: Write) -> Outcome {
        let (done, mut answer) = oneshot::channel();
        lock(waiting).push_back(Waiting { write, done });
        loop {
            tokio::select! {
                biased;
                answered = &mut answer => {
                    return answered.unwrap_or_else(|_| Err(unknown("a batch", "it was broken off")));
                }
                _turn = self.turn() => self.write_next_batch(waiting).await,
            }
        }
    }

    async fn write_next_batch(&self, waiting: &Mutex<VecDeque<Waiting>>) {
        let batch = take_batch(&mut lock(waiting));
        if batch.is_empty() {
            return;
        }
        let (writes, askers): (Vec<_>, Vec<_>) = batch.into_iter().map(|one| (one.write, one.done)).unzip();
        for (asker, outcome) in askers.into_iter().zip(self.outcomes(writes).await) {
            // Whoever asked may have gone with the partition.
            let _told = asker.send(outcome);
        }
    }

    /// What became of each of `writes`.
    async fn outcomes(&self, writes: Vec<Write>) -> Vec<Outcome> {
        let (subject, count) = (writes[0].subject.clone(), writes.len() as u64);
        let sent = match self.lease.holds() {
            true => self.send_batch(writes.clone()).await,
            false => Err(Failed::Replaced),
        };
        match sent {
            Ok(first) => (first..first + count)
                .map(|sequence| Ok(Append::Stored(sequence)))
                .collect(),
            // Where there is no room for all of it, there may be for some.
            Err(Failed::Refused(_)) if count > 1 => self.one_by_one(writes).await,
            Err(failed) => (0..count)
                .map(|_| self.outcome(failed.clone(), &subject))
                .collect(),
        }
    }

    /// Sends them without a batch, up to the first that fails; the rest is then not sent.
    async fn one_by_one(&self, writes: Vec<Write>) -> Vec<Outcome> {
        let mut failed = None;
        let mut outcomes = Vec::with_capacity(writes.len());
        for write in writes {
            let subject = write.subject.clone();
            if failed.is_none() {
                match self.request(write, self.fence()).await {
                    Ok(stored) => outcomes.push(Ok(Append::Stored(stored.seq))),
                    Err(error) => failed = Some(error),
                }
            }
            outcomes.extend(failed.clone().map(|failed| self.outcome(failed, &subject)));
        }
        outcomes
    }

    /// Sends a batch and gives the sequence of its first message.
    async fn send_batch(&self, mut writes: Vec<Write>) -> Result<u64, Failed> {
        let last = writes
            .pop()
            .ok_or_else(|| Failed::Refused("an empty batch".to_owned()))?;
        if writes.is_empty() {
            return self.request(last, self.fence()).await.map(|stored| stored.seq);
        }
        let (id, count) = (format!("{:016x}", random_bits()), writes.len() as u64 + 1);
        let place = |index: u64| {
            let mut headers = if index == 0 {
                self.fence()
            } else {
                HeaderMap::new()
            };
            headers.insert(NATS_BATCH_ID, id.as_str());
            headers.insert(NATS_BATCH_SEQUENCE, (index + 1).to_string());
            headers
        };
        for (index, write) in (0..).zip(writes) {
            let headers = joined(place(index), write.headers);
            let sent = self
                .broker
                .client()
                .publish_with_headers(write.subject, headers, write.payload);
            // Without its last message nothing of a batch is stored.
            sent.await.map_err(|error| Failed::Refused(error.to_string()))?;
        }
        let mut headers = place(count - 1);
        headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
        let stored = self.request(last, headers).await?;
        match stored.count {
            Some(all) if all == count => Ok(stored.seq + 1 - count),
            other => Err(Failed::Unknown(format!(
                "{other:?} of a batch of {count} are stored"
            ))),
        }
    }

    /// Sends one message and waits for the server's answer.
    async fn request(&self, write: Write, headers: HeaderMap) -> Result<Stored, Failed> {
        let timeout = Duration::from_millis(self.broker.settings().publish_total_timeout_ms);
        let request = Request::new()
            .headers(joined(headers, write.headers))
            .payload(write.payload)
            .timeout(Some(timeout));
        let client = self.broker.client();
        match client.send_request(Subject::from(write.subject), request).await {
            Ok(answer) => match serde_json::from_slice(&answer.payload) {
                Ok(Response::Ok(stored)) => Ok(stored),
                Ok(Response::Err { error }) => Err(Failed::of(&error)),
                Err(error) => Err(Failed::Unknown(error.to_string())),
            },
            // Nobody listened, so nobody stored it.
            Err(error) if error.kind() == RequestErrorKind::NoResponders => {
                Err(Failed::Refused(error.to_string()))
            }
            Err(error) => Err(Failed::Unknown(error.to_string())),
        }
    }

    fn fence(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let fence = self.broker.names().fence_subject(self.lease.partition());
        headers.insert(HEADER_EXPECTED_SEQUENCE, self.fence_sequence.to_string());
        headers.insert(HEADER_EXPECTED_SUBJECT, fence.as_str());
        headers
    }

    fn outcome(&self, failed: Failed, subject: &str) -> Outcome {
        match failed {
            Failed::Refused(reason) => Ok(Append::Refused { reason }),
            Failed::Replaced => Err(replaced(&self.lease)),
            Failed::Fenced => Err(ReaderError::Fenced {
                partition: self.lease.partition(),
                epoch: self.lease.epoch(),
            }),
            Failed::Unknown(reason) => Err(unknown(subject, reason)),
        }
    }
}

impl Failed {
    fn of(error: &async_nats::jetstream::Error) -> Failed {
        match error.error_code() {
            ErrorCode::STREAM_WRONG_LAST_SEQUENCE | ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT => {
                Failed::Fenced
            }
            // Of a batch that the leader does not know whole, or has no room for, nothing is stored.
            ErrorCode::ATOMIC_PUBLISH_INCOMPLETE_BATCH | ErrorCode::ATOMIC_PUBLISH_TOO_MANY_INFLIGHT => {
                Failed::Refused(error.to_string())
            }
            code if is_refusal(code) => Failed::Refused(error.to_string()),
            _ => Failed::Unknown(error.to_string()),
        }
    }
}

/// Takes what one batch may have, in order. A rollup has to be the first of its subject in a batch.
fn take_batch(waiting: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let (mut count, mut bytes, mut subjects) = (0, 0, HashSet::new());
    for Waiting { write, .. } in waiting.iter().take(BATCH_MESSAGES_MAX) {
        bytes += write.payload.len();
        let repeated = !subjects.insert(write.subject.as_str());
        let rolls_up = write.headers.get(HEADER_ROLLUP).is_some();
        if count > 0 && (bytes > BATCH_BYTES_MAX || repeated && rolls_up) {
            break;
        }
        count += 1;
    }
    waiting.drain(..count).collect()
}

fn lock(waiting: &Mutex<VecDeque<Waiting>>) -> std::sync::MutexGuard<'_, VecDeque<Waiting>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn joined(mut headers: HeaderMap, more: HeaderMap) -> HeaderMap {
    for (name, values) in more.iter() {
        values
            .iter()
            .for_each(|value| headers.append(name.clone(), value.clone()));
    }
    headers
}

fn unknown(subject: &str, reason: impl std::fmt::Display) -> ReaderError {
    BrokerError::request(format!("the outcome of a write to {subject} is unknown"), reason).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(subject: &str, bytes: usize, rolls_up: bool) -> Waiting {
        let mut headers = HeaderMap::new();
        if rolls_up {
            headers.insert(HEADER_ROLLUP, "sub");
        }
        let payload = Bytes::from(vec![0; bytes]);
        let write = Write {
            subject: subject.to_owned(),
            headers,
            payload,
        };
        Waiting {
            write,
            done: oneshot::channel().0,
        }
    }

    #[test]
    fn a_batch_ends_at_its_limits_and_before_a_second_rollup_of_a_subject() {
        let check = |all: Vec<Waiting>, expected: &[usize]| {
            let mut all = VecDeque::from(all);
            let batches = std::iter::from_fn(|| Some(take_batch(&mut all).len()).filter(|count| *count > 0));
            assert_eq!(batches.collect::<Vec<_>>(), expected);
        };
        check(Vec::new(), &[]);
        check(
            (0..450).map(|_| waiting("tier", 1, false)).collect(),
            &[200, 200, 50],
        );
        check((0..3).map(|_| waiting("state", 1, true)).collect(), &[1, 1, 1]);
        check((0..3).map(|n| waiting(&n.to_string(), 1, true)).collect(), &[3]);
        check(
            (0..3)
                .map(|_| waiting("tier", BATCH_BYTES_MAX / 2, false))
                .collect(),
            &[2, 1],
        );
        check(
            (0..2)
                .map(|_| waiting("tier", BATCH_BYTES_MAX + 1, false))
                .collect(),
            &[1, 1],
        );
    }
}
