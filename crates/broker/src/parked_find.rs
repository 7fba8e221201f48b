//! Finding one delivery among the parked ones, for a person who asks: by its id, in its lane or in the
//! tiers of its destination.
//!
//! A consumer brings headers only. What it comes upon is read again from the stream's leader, which
//! alone knows whether it is still there.

use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use hookrail_domain::lane::{ParkedSubject, Target};

use crate::error::{BrokerError, ReaderError};
use crate::look::{Look, LookPlan};
use crate::names::ParkedName;
use crate::parked_read::StoredParked;
use crate::parked_store::{HEADER_DELIVERY, ParkedStore};

/// How many messages a search has on the way.
const WINDOW_MESSAGES: usize = 2_000;
/// How long one search may take: about a million messages.
const SEARCH_TIME_MAX: Duration = Duration::from_secs(8);

impl ParkedStore {
    /// Where the delivery lies parked, and its message; none where it is not, or was not yet stored
    /// when the search began.
    ///
    /// # Errors
    /// [`ReaderError::Replaced`] where the lease is over. [`ReaderError::Broker`]: the search did not
    /// come to its end.
    pub async fn find(&self, target: &Target) -> Result<Option<(ParkedSubject, StoredParked)>, ReaderError> {
        self.check_lease()?;
        let mut look = self.open_search(target).await?;
        let found = tokio::time::timeout(SEARCH_TIME_MAX, self.search(&mut look, target))
            .await
            .unwrap_or_else(|_| Err(self.search_failed("it took too long").into()));
        look.close().await;
        found
    }

    async fn open_search(&self, target: &Target) -> Result<Look, BrokerError> {
        let (names, partition) = (self.broker.names(), self.lease.partition());
        let subject = match target.lane_id() {
            Some(lane) => names.parked_subject(partition, ParkedSubject::Lane(lane)),
            None => names.tier_subjects(partition, target.destination),
        };
        let plan = LookPlan {
            stream: self.stream.to_string(),
            from: DeliverPolicy::All,
            filters: vec![subject],
            headers_only: true,
            window_messages: WINDOW_MESSAGES,
        };
        Look::open(&self.broker, plan).await
    }

    async fn search(
        &self,
        look: &mut Look,
        target: &Target,
    ) -> Result<Option<(ParkedSubject, StoredParked)>, ReaderError> {
        let wanted = target.delivery.to_string();
        while let Some((message, delivered)) = look.next().await? {
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
        }
        Ok(None)
    }

    fn search_failed(&self, reason: impl std::fmt::Display) -> BrokerError {
        BrokerError::request(format!("searching {}", self.stream), reason)
    }
}
