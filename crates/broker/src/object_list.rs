//! What bodies the object store has, for whoever removes those that nobody owns any more.
//!
//! A consumer brings the headers of each body's first chunk, so that no body is read for it.

use async_nats::jetstream::consumer::DeliverPolicy;
use hookrail_domain::Millis;

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::look::{Look, LookPlan};

/// How many headers a list has on the way.
const WINDOW_MESSAGES: usize = 1_000;

/// A body in the object store, whole or begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundObject {
    /// Its name.
    pub name: String,
    /// Its first chunk's place among all.
    pub sequence: u64,
    /// When it was put.
    pub put_at: Millis,
}

impl Broker {
    /// The next bodies after a sequence, in the order in which they were put, at most `most`.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub async fn list_objects(&self, after: u64, most: usize) -> Result<Vec<FoundObject>, BrokerError> {
        let plan = LookPlan {
            stream: self.names().object_stream(),
            from: DeliverPolicy::ByStartSequence {
                start_sequence: after + 1,
            },
            filters: vec![self.names().first_chunks()],
            headers_only: true,
            window_messages: WINDOW_MESSAGES.min(most.max(1)),
        };
        let mut look = Look::open(self, plan).await?;
        let found = self.read_list(&mut look, most).await;
        look.close().await;
        found
    }

    async fn read_list(&self, look: &mut Look, most: usize) -> Result<Vec<FoundObject>, BrokerError> {
        let mut found = Vec::new();
        while found.len() < most
            && let Some((message, delivered)) = look.next().await?
        {
            if let Some(name) = self.names().read_object(&message.subject) {
                found.push(FoundObject {
                    name,
                    sequence: delivered.stream_sequence,
                    put_at: delivered.timestamp_ms,
                });
            }
        }
        Ok(found)
    }
}
