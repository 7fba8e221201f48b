//! What bodies the object store has, for whoever removes those that nobody owns any more.
//!
//! A consumer brings the headers of each body's first chunk, so that no body is read for it.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use hookrail_domain::Millis;

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::group_consumer::delete_consumer;
use crate::pull::{PullFeed, PullSettings, Pulled};
use crate::random::random_bits;

/// How many headers a list has on the way.
const WINDOW_MESSAGES: usize = 1_000;
/// When the server removes a list's consumer that nobody removed.
const INACTIVE: Duration = Duration::from_secs(30);

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
        let stream = self.names().object_stream();
        let name = format!("list-{:016x}", random_bits());
        let config = pull::Config {
            name: Some(name.clone()),
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: after + 1,
            },
            ack_policy: AckPolicy::None,
            filter_subject: self.names().first_chunks(),
            headers_only: true,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: INACTIVE,
            ..pull::Config::default()
        };
        let created = self.jetstream().create_consumer_on_stream(config, &stream).await;
        let created =
            created.map_err(|error| BrokerError::request(format!("looking into {stream}"), error))?;
        let pending = usize::try_from(created.cached_info().num_pending).unwrap_or(usize::MAX);
        let found = self.read_list(&stream, &name, pending.min(most)).await;
        if let Err(error) = delete_consumer(self, &stream, &name).await {
            tracing::debug!(%error, "a list's consumer is left to the server");
        }
        found
    }

    async fn read_list(
        &self,
        stream: &str,
        consumer: &str,
        count: usize,
    ) -> Result<Vec<FoundObject>, BrokerError> {
        let mut found = Vec::new();
        if count == 0 {
            return Ok(found);
        }
        let settings = PullSettings {
            stream: stream.to_owned(),
            consumer: consumer.to_owned(),
            group: None,
            window_messages: WINDOW_MESSAGES.min(count),
            window_bytes: 0,
            check_gaps: true,
        };
        let mut feed = PullFeed::open(self, settings).await?;
        while found.len() < count {
            let (message, delivered) = match feed.next().await {
                Pulled::Message(message, delivered) => (message, delivered),
                Pulled::Interrupted(reason) => return Err(BrokerError::request("listing bodies", reason)),
                Pulled::Replaced => return Err(BrokerError::request("listing bodies", "refused")),
            };
            if let Some(name) = self.names().read_object(&message.subject) {
                found.push(FoundObject {
                    name,
                    sequence: delivered.stream_sequence,
                    put_at: delivered.timestamp_ms,
                });
            }
            if delivered.pending == 0 {
                break;
            }
        }
        Ok(found)
    }
}
