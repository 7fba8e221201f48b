//! The journal's records: what ingress and dispatcher report and the store keeps for people.
//!
//! A record may come twice, late, or before the row that it is about; so each carries what that row
//! needs, and a state is only ever raised (see [`StateRecord::rank`]).

use crate::{
    Millis,
    delivery::{Attempt, Delivery, DeliveryStatus, EntityRef, Failure},
    event::Origin,
    ids::{DeliveryId, DestinationId, EventId, FetcherId, ReplayId, RouteId, SourceId, WorkspaceId},
};

/// What the journal knows of a delivery, whoever reports it first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFacts {
    /// Its id.
    pub id: DeliveryId,
    /// The event that it delivers.
    pub event: EventId,
    /// That event's type.
    pub event_type: String,
    /// The workspace that it belongs to.
    pub workspace: WorkspaceId,
    /// The source of the event.
    pub source: Option<SourceId>,
    /// Where it goes; of a fetch, the fetcher in the place of a destination.
    pub destination: DestinationId,
    /// The fetcher whose call it is.
    pub fetcher: Option<FetcherId>,
    /// The route that planned it.
    pub route: Option<RouteId>,
    /// The entity that it is about.
    pub entity: Option<EntityRef>,
    /// The ordering key.
    pub lane_key: Option<String>,
    /// Where its event is in the log.
    pub origin: Origin,
    /// When its event was accepted.
    pub accepted_at: Millis,
    /// The replay that made it.
    pub replay: Option<ReplayId>,
}

impl From<&Delivery> for DeliveryFacts {
    fn from(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id,
            event: delivery.event,
            event_type: delivery.event_type.clone(),
            workspace: delivery.workspace,
            source: delivery.source,
            destination: delivery.destination,
            fetcher: delivery.fetcher,
            route: delivery.route,
            entity: delivery.entity.clone(),
            lane_key: delivery.lane_key.clone(),
            origin: delivery.origin,
            accepted_at: delivery.accepted_at,
            replay: delivery.replay,
        }
    }
}

/// An attempt, with what the row of its delivery needs.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRecord {
    /// The delivery that it was made for.
    pub delivery: DeliveryFacts,
    /// The attempt.
    pub attempt: Attempt,
}

/// A delivery's state changed, most often by an attempt: both are one record, so that they can't part and
/// cost one message.
#[derive(Debug, Clone, PartialEq)]
pub struct StateRecord {
    /// The delivery.
    pub delivery: DeliveryFacts,
    /// Its new status.
    pub status: DeliveryStatus,
    /// The owner's epoch.
    pub epoch: u64,
    /// Attempts made so far.
    pub attempts: u32,
    /// When it is tried next.
    pub next_at: Option<Millis>,
    /// When it was settled.
    pub settled_at: Option<Millis>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Raised by every manual retry, which alone takes a delivery back from dead.
    pub generation: u32,
    /// The attempt that led to it, where one was made.
    pub attempt: Option<Box<Attempt>>,
}

impl StateRecord {
    /// What decides between two records of one delivery: the higher one is kept.
    pub fn rank(&self) -> (u32, DeliveryRank, u64, u32) {
        (
            self.generation,
            DeliveryRank::from(self.status),
            self.epoch,
            self.attempts,
        )
    }
}

/// Pending, then parked, then given up, then delivered: what a receiver has taken is delivered, whatever a
/// repetition of it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryRank {
    /// Planned.
    Pending,
    /// Parked.
    Parked,
    /// Dead or cancelled.
    GivenUp,
    /// Delivered.
    Delivered,
}

impl From<DeliveryStatus> for DeliveryRank {
    fn from(status: DeliveryStatus) -> Self {
        match status {
            DeliveryStatus::Pending => Self::Pending,
            DeliveryStatus::Parked => Self::Parked,
            DeliveryStatus::Dead | DeliveryStatus::Cancelled => Self::GivenUp,
            DeliveryStatus::Delivered => Self::Delivered,
        }
    }
}

/// The ingress refused a request. Holds no body and no credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionRecord {
    /// The source that it was for.
    pub source: SourceId,
    /// That source's workspace.
    pub workspace: WorkspaceId,
    /// When.
    pub at: Millis,
    /// The stable cause, as in the answer's `code`.
    pub code: String,
    /// What the check that failed said.
    pub detail: String,
    /// The sender's address.
    pub remote_addr: Option<String>,
    /// The request's method.
    pub method: String,
    /// The request's headers, credentials left out.
    pub headers: Vec<(String, String)>,
}

/// How many requests an ingress refused since its last record, by source and cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountRecord {
    /// The ingress.
    pub instance: String,
    /// Its record's number, so that a repetition counts once.
    pub number: u64,
    /// The source.
    pub source: SourceId,
    /// The stable cause.
    pub code: String,
    /// How many.
    pub refused: u64,
}

/// Anything that goes to the journal.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A delivery's state changed.
    State(Box<StateRecord>),
    /// The ingress refused a request.
    Rejection(Box<RejectionRecord>),
    /// Refusals, counted.
    Count(Box<CountRecord>),
}
