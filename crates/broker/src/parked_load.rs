//! What a takeover finds in the parked stream.
//!
//! How many wait, by subject, comes from the stream's leader. The last of each subject is looked at by
//! a consumer that brings headers only; where it is served by a replica that is behind, the owner's
//! own fence is missing, and the look does not count.

use std::collections::{BTreeMap, HashMap};

use async_nats::Message;
use async_nats::jetstream::consumer::DeliverPolicy;
use futures::TryStreamExt;
use hookrail_domain::lane::{FoundLane, LaneId, LaneState, ParkedSet, ParkedSubject};

use crate::codec::decode_lane_state;
use crate::error::{BrokerError, ReaderError};
use crate::look::{Look, LookPlan};
use crate::names::ParkedName;
use crate::parked_store::{HEADER_QUEUE_SEQUENCE, HEADER_REVISION, ParkedStore};

/// The most lanes and tiers that one partition is loaded with.
const SUBJECTS_MAX: usize = 4_000_000;
/// How many messages a look has on the way.
const LOOK_WINDOW: usize = 2_000;

/// What was parked in a partition when it was taken over.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FoundParked {
    /// Its lanes and tiers.
    pub set: ParkedSet,
    /// A revision of the definitions that knows all their destinations, unless they were deleted.
    pub revision: u64,
}

/// The last message of each subject, as far as a takeover needs it.
#[derive(Default)]
struct Last {
    fence: u64,
    parked: HashMap<ParkedSubject, u64>,
    states: HashMap<LaneId, (LaneState, u64)>,
    revision: u64,
}

impl ParkedStore {
    /// Reads what is parked. Once the fence is moved nobody else adds to it.
    ///
    /// # Errors
    /// [`ReaderError::Replaced`] where the lease is over. [`ReaderError::Broker`]: call again.
    pub async fn load(&self) -> Result<FoundParked, ReaderError> {
        self.check_lease()?;
        let (names, partition) = (self.broker.names(), self.lease.partition());
        let mut last = Last::default();
        let filters = ["k", "u"].map(|kind| names.parked_kind(partition, kind));
        let filters = [filters.as_slice(), &[names.fence_subject(partition)]].concat();
        self.look(filters, true, &mut last).await?;
        if last.fence != self.fence_sequence {
            let reason = format!("the fence is at {}, not at {}", last.fence, self.fence_sequence);
            return Err(self.failed(reason).into());
        }
        self.look(vec![names.parked_kind(partition, "s")], false, &mut last)
            .await?;
        let counts = self.counts().await?;
        let mut set = self.join(&counts, &last)?;
        set.mean_bytes = self.mean_bytes().await?;
        Ok(FoundParked {
            set,
            revision: last.revision,
        })
    }

    fn failed(&self, reason: impl std::fmt::Display) -> BrokerError {
        let what = format!(
            "loading what {} holds of partition {}",
            self.stream,
            self.lease.partition()
        );
        BrokerError::request(what, reason)
    }

    /// The mean size of the stream's messages, fences and lane states among them.
    async fn mean_bytes(&self) -> Result<u64, BrokerError> {
        let fill = self.broker.stream_fill(&self.stream).await?;
        Ok(fill.bytes / fill.messages.max(1))
    }

    /// Deliveries by lane and tier, in an order of their own.
    async fn counts(&self) -> Result<BTreeMap<ParkedSubject, u64>, BrokerError> {
        let names = self.broker.names();
        let stream = self.broker.stream_ref(&self.stream).await?;
        let filter = names.parked_subjects(self.lease.partition());
        let mut subjects = stream
            .info_with_subjects(&filter)
            .await
            .map_err(|error| self.failed(error))?;
        let mut counts = BTreeMap::new();
        while let Some((subject, count)) = subjects.try_next().await.map_err(|error| self.failed(error))? {
            if let Some(ParkedName::Parked(parked)) = names.read_parked(&subject) {
                counts.insert(parked, count as u64);
            }
            if counts.len() > SUBJECTS_MAX {
                return Err(self.failed(format!("more than {SUBJECTS_MAX} lanes and tiers")));
            }
        }
        Ok(counts)
    }

    fn join(&self, counts: &BTreeMap<ParkedSubject, u64>, last: &Last) -> Result<ParkedSet, BrokerError> {
        let mut set = ParkedSet::default();
        for (subject, count) in counts {
            let seen = last.parked.get(subject);
            let last_sequence = *seen.ok_or_else(|| self.failed(format!("{subject:?} was not seen")))?;
            match *subject {
                ParkedSubject::Tier(destination, tier) => set.tiers.push((destination, tier, *count)),
                ParkedSubject::Lane(lane) => set.lanes.push(FoundLane {
                    lane,
                    count: *count,
                    last_sequence,
                    state: last.states.get(&lane).copied(),
                }),
            }
        }
        // A lane state may outlive its lane's last delivery.
        let alone = last
            .states
            .iter()
            .filter(|(lane, _)| !counts.contains_key(&ParkedSubject::Lane(**lane)));
        set.lanes.extend(alone.map(|(lane, state)| FoundLane {
            lane: *lane,
            count: 0,
            last_sequence: 0,
            state: Some(*state),
        }));
        Ok(set)
    }

    /// Looks at the last message of each subject under `filters`.
    async fn look(
        &self,
        filters: Vec<String>,
        headers_only: bool,
        last: &mut Last,
    ) -> Result<(), ReaderError> {
        let plan = LookPlan {
            stream: self.stream.to_string(),
            from: DeliverPolicy::LastPerSubject,
            filters,
            headers_only,
            window_messages: LOOK_WINDOW,
        };
        let mut look = Look::open(&self.broker, plan).await?;
        let looked = self.read_all(&mut look, last).await;
        look.close().await;
        Ok(looked?)
    }

    async fn read_all(&self, look: &mut Look, last: &mut Last) -> Result<(), BrokerError> {
        while let Some((message, delivered)) = look.next().await? {
            self.note(&message, delivered.stream_sequence, last)?;
        }
        Ok(())
    }

    fn note(&self, message: &Message, sequence: u64, last: &mut Last) -> Result<(), BrokerError> {
        match self.broker.names().read_parked(&message.subject) {
            Some(ParkedName::Fence) => last.fence = sequence,
            Some(ParkedName::Parked(subject)) => {
                let queue_sequence = number(message, HEADER_QUEUE_SEQUENCE);
                let queue_sequence = queue_sequence.ok_or_else(|| {
                    self.failed(format!("message {sequence} does not say its place in the queue"))
                })?;
                last.parked.insert(subject, queue_sequence);
                last.revision = last
                    .revision
                    .max(number(message, HEADER_REVISION).unwrap_or_default());
            }
            Some(ParkedName::State(lane)) => {
                let state = decode_lane_state(&message.payload).map_err(|error| self.failed(error))?;
                last.states.insert(lane, (state, sequence));
            }
            None => tracing::warn!(subject = %message.subject, "an unknown subject of the parked stream"),
        }
        Ok(())
    }
}

fn number(message: &Message, header: &str) -> Option<u64> {
    message.headers.as_ref()?.get(header)?.as_str().parse().ok()
}
