//! Finding one delivery among the parked ones, for a person who asks: by its id, in its lane or in the
//! tiers of its destination.
//!
//! A consumer brings headers only. What it comes upon is read again from the stream's leader, which
//! alone knows whether it is still there.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use hookrail_domain::lane::{ParkedSubject, Target};

use crate::error::{BrokerError, ReaderError};
use crate::group_consumer::delete_consumer;
use crate::names::ParkedName;
use crate::parked_read::StoredParked;
use crate::parked_store::{HEADER_DELIVERY, ParkedStore};
use crate::pull::{PullFeed, PullSettings, Pulled};
use crate::random::random_bits;

/// How many messages a search has on the way.
const WINDOW_MESSAGES: usize = 2_000;
/// How long one search may take: about a million messages.
const SEARCH_TIME_MAX: Duration = Duration::from_secs(8);
/// When the server removes a search's consumer that nobody removed.
const SEARCH_INACTIVE: Duration = Duration::from_secs(30);

impl ParkedStore {
    /// Where the delivery lies parked, and its message; none where it is not, or was not yet stored
    /// when the search began.
    ///
    /// # Errors
    /// [`ReaderError::Replaced`] where the lease is over. [`ReaderError::Broker`]: the search did not
    /// come to its end.
    pub async fn find(&self, target: &Target) -> Result<Option<(ParkedSubject, StoredParked)>, ReaderError> {
        self.check_lease()?;
        let name = format!("find-{:016x}", random_bits());
        let pending = self.open_search(&name, target).await?;
        let found = match pending {
            0 => Ok(None),
            _ => tokio::time::timeout(SEARCH_TIME_MAX, self.search(&name, target))
                .await
                .unwrap_or_else(|_| Err(self.search_failed("it took too long").into())),
        };
        if let Err(error) = delete_consumer(&self.broker, &self.stream, &name).await {
            tracing::debug!(%error, "a search's consumer is left to the server");
        }
        found
    }

    /// Creates the consumer; gives how many messages there are to look at.
    async fn open_search(&self, name: &str, target: &Target) -> Result<u64, BrokerError> {
        let (names, partition) = (self.broker.names(), self.lease.partition());
        let subject = match target.lane_id() {
            Some(lane) => names.parked_subject(partition, ParkedSubject::Lane(lane)),
            None => names.tier_subjects(partition, target.destination),
        };
        let config = pull::Config {
            name: Some(name.to_owned()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::None,
            filter_subject: subject,
            headers_only: true,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: SEARCH_INACTIVE,
            ..pull::Config::default()
        };
        let created = self
            .broker
            .jetstream()
            .create_consumer_on_stream(config, &*self.stream)
            .await;
        let created = created.map_err(|error| self.search_failed(error))?;
        Ok(created.cached_info().num_pending)
    }

    async fn search(
        &self,
        consumer: &str,
        target: &Target,
    ) -> Result<Option<(ParkedSubject, StoredParked)>, ReaderError> {
        let settings = PullSettings {
            stream: self.stream.to_string(),
            consumer: consumer.to_owned(),
            group: None,
            window_messages: WINDOW_MESSAGES,
            window_bytes: 0,
            check_gaps: true,
        };
        let wanted = target.delivery.to_string();
        let mut feed = PullFeed::open(&self.broker, settings).await?;
        loop {
            let (message, delivered) = match feed.next().await {
                Pulled::Message(message, delivered) => (message, delivered),
                Pulled::Interrupted(reason) => return Err(self.search_failed(reason).into()),
                Pulled::Replaced => return Err(self.search_failed("refused").into()),
            };
            let id = message
                .headers
                .as_ref()
                .and_then(|headers| headers.get(HEADER_DELIVERY));
            // One without the header was parked by an older version.
            if id.is_none_or(|id| id.as_str() == wanted)
                && let Some(stored) = self.get(delivered.stream_sequence).await?
                && stored.parked.delivery.id == target.delivery
                && let Some(ParkedName::Parked(subject)) = self.broker.names().read_parked(&message.subject)
            {
                return Ok(Some((subject, stored)));
            }
            if delivered.pending == 0 {
                return Ok(None);
            }
        }
    }

    fn search_failed(&self, reason: impl std::fmt::Display) -> BrokerError {
        BrokerError::request(format!("searching {}", self.stream), reason)
    }
}
