//! Confirmed acknowledgements of deliveries.
//!
//! The next delivery of a lane may go out only when the one before is surely gone from the queue,
//! so each acknowledgement waits for the server's answer. A replaced consumer doesn't answer: that
//! is how an owner learns that it is one no more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Subject;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connection::Broker;
use crate::error::ReaderError;
use crate::group_consumer::replaced;
use crate::lease::Lease;

/// How long one acknowledgement waits for its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a message may take to come again after its consumer was opened again.
const COME_AGAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause before the broker is asked again.
const ASK_PAUSE: Duration = Duration::from_millis(200);

/// Messages that the owner holds, with the reply subject to acknowledge each by; none while a
/// consumer that was opened again has not brought it yet. Never more than may be unacknowledged.
#[derive(Default)]
pub(crate) struct HeldMessages {
    replies: Mutex<HashMap<u64, Option<Subject>>>,
    changed: Notify,
}

impl HeldMessages {
    /// Notes a message that came; true if it was not held before.
    pub(crate) fn came(&self, sequence: u64, reply: Option<Subject>) -> bool {
        let new = self.with(|replies| replies.insert(sequence, reply).is_none());
        self.changed.notify_waiters();
        new
    }

    /// The consumer was opened again: what is held must come again to be acknowledged.
    pub(crate) fn forget_replies(&self) {
        self.with(|replies| replies.values_mut().for_each(|reply| *reply = None));
        self.changed.notify_waiters();
    }

    fn reply(&self, sequence: u64) -> Option<Subject> {
        self.with(|replies| replies.get(&sequence).cloned().flatten())
    }

    fn is_held(&self, sequence: u64) -> bool {
        self.with(|replies| replies.contains_key(&sequence))
    }

    fn settle(&self, sequence: u64) {
        self.with(|replies| replies.remove(&sequence));
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<u64, Option<Subject>>) -> T) -> T {
        act(&mut self.replies.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Acknowledges messages of one reader. Any number of acknowledgements may be under way at once.
#[derive(Clone)]
pub struct DeliveryAcker {
    broker: Broker,
    lease: Lease,
    stream: String,
    held: Arc<HeldMessages>,
}

impl DeliveryAcker {
    pub(crate) fn new(
        broker: Broker,
        lease: Lease,
        stream: String,
        held: Arc<HeldMessages>,
    ) -> DeliveryAcker {
        DeliveryAcker {
            broker,
            lease,
            stream,
            held,
        }
    }

    /// Acknowledges a message and returns once it is surely gone from the queue.
    ///
    /// Survives a lost connection as long as the lease holds and somebody keeps calling
    /// [`crate::DeliveryReader::next`]. [`ReaderError::Replaced`]: stop the partition.
    pub async fn ack_confirmed(&self, sequence: u64) -> Result<(), ReaderError> {
        let mut waited_since = None;
        while self.held.is_held(sequence) {
            if !self.lease.holds() {
                return Err(replaced(&self.lease));
            }
            let answered = match self.held.reply(sequence) {
                Some(reply) => {
                    waited_since = None;
                    self.ask(sequence, reply).await?
                }
                None => self.wait_for_reply(sequence, &mut waited_since).await?,
            };
            if answered {
                self.held.settle(sequence);
            }
        }
        Ok(())
    }

    /// One acknowledgement; true if the message is surely gone.
    async fn ask(&self, sequence: u64, reply: Subject) -> Result<bool, ReaderError> {
        let client = self.broker.client();
        let request = client.request(reply, Bytes::from_static(b"+ACK"));
        if let Ok(Ok(_)) = tokio::time::timeout(ANSWER_TIMEOUT, request).await {
            return Ok(true);
        }
        if self.is_stored(sequence).await == Some(false) {
            return Ok(true);
        }
        // No answer: a newer owner's consumer, or one that this owner is opening again. A newer
        // owner has written the owner key before it touched the consumer.
        if matches!(self.lease.confirm(&self.broker).await, Ok(false)) {
            return Err(replaced(&self.lease));
        }
        tokio::time::sleep(ASK_PAUSE).await;
        Ok(false)
    }

    async fn wait_for_reply(
        &self,
        sequence: u64,
        waited_since: &mut Option<Instant>,
    ) -> Result<bool, ReaderError> {
        let since = *waited_since.get_or_insert_with(Instant::now);
        // The answer may have been lost though the acknowledgement was not.
        if self.is_stored(sequence).await == Some(false) {
            return Ok(true);
        }
        if since.elapsed() > COME_AGAIN_TIMEOUT {
            return Err(replaced(&self.lease));
        }
        let _ = tokio::time::timeout(ASK_PAUSE, self.held.changed.notified()).await;
        Ok(false)
    }

    /// Whether the leader still has the message; none when it could not be asked.
    async fn is_stored(&self, sequence: u64) -> Option<bool> {
        let stream = self.broker.stream_ref(&self.stream).await.ok()?;
        match stream.get_raw_message(sequence).await {
            Ok(_) => Some(true),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Some(false),
            Err(error) => {
                tracing::debug!(%error, sequence, "the queue could not be asked");
                None
            }
        }
    }
}
