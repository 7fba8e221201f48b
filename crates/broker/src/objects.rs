//! The object store: bodies that are too large for a message, put before the message that names them.
//!
//! A stream of its own, bounded as all are. A body lies in it in chunks, each the last of a subject that
//! follows from the body's name and the chunk's number, and the name has the content's hash: so a body
//! can be put twice without harm, also while somebody reads it, which the client library's own object
//! store does not allow, and nothing is left of one that was deleted. Knows nothing of events and
//! deliveries; who removes what nobody owns any more is not decided here.

use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::publish::{PublishError, Publisher};

/// How many chunks the body of this chunk has.
const HEADER_CHUNKS: &str = "Hookrail-Chunks";
/// The size of a chunk where messages may be that large, bytes.
const CHUNK_BYTES: usize = 512 * 1024;
/// Most chunks of a body.
const MAX_CHUNKS: usize = 4_096;
/// How many chunks of one body are on their way at once.
const CHUNKS_AT_ONCE: usize = 4;
/// The unit of memory for large bodies, bytes.
const MEMORY_UNIT_BYTES: u64 = 64 * 1024;

/// Memory for large bodies that somebody has until this is dropped.
#[derive(Debug)]
pub struct LargeMemory(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// The memory for large bodies of one connection.
#[derive(Clone, Debug)]
pub(crate) struct MemoryForBodies {
    free: Arc<Semaphore>,
    units: u32,
}

impl MemoryForBodies {
    pub(crate) fn new(bytes: u64) -> MemoryForBodies {
        let units = units(bytes).max(1);
        MemoryForBodies {
            free: Arc::new(Semaphore::new(units as usize)),
            units,
        }
    }

    async fn take(&self, bytes: u64) -> LargeMemory {
        // One that is larger than all of it is alone.
        let wanted = units(bytes).min(self.units);
        let permit = Arc::clone(&self.free).acquire_many_owned(wanted).await;
        LargeMemory(permit.expect("it is never closed"))
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(MEMORY_UNIT_BYTES)).unwrap_or(u32::MAX)
}

impl Publisher {
    /// Puts a body; returns once all of it is on disk. Putting it again changes nothing.
    ///
    /// # Errors
    /// As for any publish; nothing but chunks that nobody names is left then.
    pub async fn put_object(&self, name: &str, body: Bytes) -> Result<(), PublishError> {
        let limit = CHUNK_BYTES.min(self.broker().message_max_bytes() / 2);
        let count = body.len().div_ceil(limit).max(1);
        if count > MAX_CHUNKS {
            return Err(PublishError::TooLarge {
                bytes: body.len(),
                limit: MAX_CHUNKS * limit,
            });
        }
        let chunk = |index: usize| {
            let end = body.len().min((index + 1) * limit);
            self.put_chunk(name, index, count, body.slice(index * limit..end))
        };
        // The first one alone: whoever lists bodies finds those that were begun by it.
        chunk(0).await?;
        stream::iter((1..count).map(chunk))
            .buffer_unordered(CHUNKS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn put_chunk(
        &self,
        name: &str,
        index: usize,
        count: usize,
        chunk: Bytes,
    ) -> Result<(), PublishError> {
        let headers = || {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER_CHUNKS, count.to_string());
            headers
        };
        let subject = self.broker().names().object_subject(name, index);
        self.publish_with(subject, headers, chunk).await.map(drop)
    }
}

impl Broker {
    /// Memory for large bodies of `bytes` together, once there is some. Whoever needs several bodies at
    /// once asks for all of them together, or two could wait for each other.
    pub async fn large_memory(&self, bytes: u64) -> LargeMemory {
        self.memory_for_bodies().take(bytes).await
    }

    /// The whole body of this name; none where it is not there, or not all of it.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub async fn get_object(&self, name: &str, size: u64) -> Result<Option<Bytes>, BrokerError> {
        let Some(first) = self.get_chunk(name, 0).await? else {
            return Ok(None);
        };
        let count = first.headers.get(HEADER_CHUNKS).map(|count| count.as_str());
        let count: usize = count.and_then(|count| count.parse().ok()).unwrap_or(1);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if count == 1 {
            return Ok(Some(first.payload).filter(|body| body.len() == size));
        }
        let mut body = BytesMut::with_capacity(size.min(count.min(MAX_CHUNKS) * first.payload.len()));
        body.extend_from_slice(&first.payload);
        let rest = (1..count.min(MAX_CHUNKS)).map(|index| self.get_chunk(name, index));
        let mut rest = stream::iter(rest).buffered(CHUNKS_AT_ONCE);
        while let Some(chunk) = rest.next().await {
            match chunk? {
                Some(chunk) => body.extend_from_slice(&chunk.payload),
                None => return Ok(None),
            }
        }
        Ok(Some(body.freeze()).filter(|body| body.len() == size))
    }

    /// Removes a body; one that is gone already is fine.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub async fn delete_object(&self, name: &str) -> Result<(), BrokerError> {
        let stream = self.stream_ref(&self.names().object_stream()).await?;
        let purge = stream.purge().filter(self.names().object_subjects(name)).await;
        purge
            .map(drop)
            .map_err(|error| BrokerError::request(format!("removing the body {name}"), error))
    }

    /// A chunk, from any replica, or from the leader where that one has it not yet.
    async fn get_chunk(&self, name: &str, index: usize) -> Result<Option<StreamMessage>, BrokerError> {
        let stream = self.stream_ref(&self.names().object_stream()).await?;
        let subject = self.names().object_subject(name, index);
        match stream.direct_get_last_for_subject(subject.clone()).await {
            Ok(chunk) => return Ok(Some(chunk)),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => {}
            Err(error) => tracing::debug!(%error, name, "the leader is asked for a body"),
        }
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(chunk) => Ok(Some(chunk)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(BrokerError::request(format!("reading the body {name}"), error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_larger_than_all_memory_is_alone_and_others_wait() {
        let memory = MemoryForBodies::new(10 * MEMORY_UNIT_BYTES);
        let all = memory.take(100 * MEMORY_UNIT_BYTES).await;
        assert_eq!(memory.free.available_permits(), 0);
        drop(all);
        let small = memory.take(1).await;
        assert_eq!(memory.free.available_permits(), 9);
        drop(small);
    }
}
