//! An event on its way through the processor, and what it comes to.

use hookrail_domain::{
    delivery::Delivery,
    event::{Event, EventKey, EventStatus},
    ids::{DeliveryId, EventId},
    journal::StateRecord,
};
use hookrail_store::{
    entities::{EntityVersion, EntityWrite},
    entity_versions::{VersionTrim, VersionWrite},
    event_entities::EventEntity,
    source_warnings::{Finding, WarningKey},
};

use crate::read_event::Failure;

/// An event with its place in the log.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The event.
    pub event: Event,
    /// Its raw partition.
    pub partition: u32,
    /// Its sequence there.
    pub sequence: u64,
    /// When the broker stored it, milliseconds.
    pub stored_at: i64,
}

impl Arrival {
    /// The version of the entities that it writes.
    pub fn version(&self) -> EntityVersion {
        EntityVersion {
            partition: self.partition,
            sequence: self.sequence,
            at: self.stored_at,
        }
    }
}

/// What an event comes to.
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    /// How it ended.
    pub verdict: Verdict,
    /// Entities to store.
    pub entities: Vec<EntityWrite>,
    /// Versions of entities to keep.
    pub versions: Vec<VersionWrite>,
    /// Versions of entities that are over the limit.
    pub trims: Vec<VersionTrim>,
    /// Entities that it is about.
    pub about: Vec<EventEntity>,
    /// Deliveries to publish, in order.
    pub deliveries: Vec<Delivery>,
    /// Deliveries that can't be made: recorded as dead, never published.
    pub stillborn: Vec<StateRecord>,
    /// What it says of its source's rules.
    pub findings: Vec<(WarningKey, Finding)>,
    /// The keys by which a repetition of it will be known.
    pub keys: Vec<EventKey>,
    /// The delivery that was planned to answer its caller.
    pub responds: Option<DeliveryId>,
}

impl Evaluation {
    /// The rows that it writes of its own: the size of its commit.
    pub(crate) fn rows(&self) -> usize {
        self.entities.len() + self.versions.len() + self.deliveries.len() + self.stillborn.len()
    }

    /// Whether it is the first of its event in the log.
    pub(crate) fn is_first(&self) -> bool {
        self.verdict != Verdict::Again
    }
}

/// How an event ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Processed.
    #[default]
    Processed,
    /// Left out by the filter.
    Filtered,
    /// It repeats another.
    Duplicate(EventId),
    /// It lies in the log a second time: what it comes to is there already. Not counted.
    Again,
    /// It could not be decoded or mapped.
    Failed(Failure),
    /// Its source is paused: it is kept, and evaluated when that is over.
    Held,
}

impl Verdict {
    /// The status that it gives the event.
    pub fn status(&self) -> EventStatus {
        match self {
            Self::Processed => EventStatus::Processed,
            Self::Filtered => EventStatus::Filtered,
            Self::Duplicate(_) | Self::Again => EventStatus::Duplicate,
            Self::Failed(_) => EventStatus::Failed,
            Self::Held => EventStatus::Received,
        }
    }
}
