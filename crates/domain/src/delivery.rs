//! A delivery: one event on its way to one destination; and the attempts made for it.

use serde::{Deserialize, Serialize};

use crate::{
    Millis,
    event::{Body, Origin, Reply},
    event_type::SYNC_RECORD,
    ids::{DeliveryId, DestinationId, EventId, FetcherId, ReplayId, RouteId, SourceId, WorkspaceId},
    partition,
    short_id::ShortId,
};

/// Which entity a delivery is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityRef {
    /// Its type.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// Its unique id.
    pub unique_id: String,
    /// Its version.
    pub version: String,
}

/// A delivery as it is in its partition's stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its id; the receiver sees it as `webhook-id`.
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
    /// The fetcher whose call it is: then its body says what is asked for.
    pub fetcher: Option<FetcherId>,
    /// The route that planned it; `None` = the destination's own `events`.
    pub route: Option<RouteId>,
    /// The entity that it is about.
    pub entity: Option<EntityRef>,
    /// The ordering key; `None` = it stands for itself.
    pub lane_key: Option<String>,
    /// Where its event is in the log.
    pub origin: Origin,
    /// The revision of the definitions under which it was planned.
    pub revision: u64,
    /// When its event was accepted.
    pub accepted_at: Millis,
    /// The body's content type.
    pub content_type: Option<String>,
    /// Headers that belong to the body: the attributes of a CloudEvent in binary mode. Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
    /// The trace that it belongs to.
    pub traceparent: String,
    /// The replay that made it.
    pub replay: Option<ReplayId>,
    /// Who waits for its result.
    pub reply: Option<Reply>,
    /// Raised by every retry of a dead delivery.
    pub generation: u32,
    /// Attempts made before the last such retry; their numbers go on from there.
    pub attempts_before: u32,
    /// Whether its event was held while its source was paused, so that events that came later went before it.
    pub was_held: bool,
}

impl Delivery {
    /// Its place in its lane's order. One that was sent again later, by a replay or a retry of a dead
    /// one, has none; nor has a record of a sync, which comes from no event of the log.
    pub fn place_in_order(&self) -> Option<LanePlace> {
        let is_first = self.replay.is_none() && self.generation == 0;
        let held_by = self.source.filter(|_| self.was_held);
        let held_by = held_by.map(|source| ShortId::of(source.as_u128()));
        (is_first && !self.is_sync_record()).then_some(LanePlace {
            origin: self.origin,
            held_by,
        })
    }

    /// Whether it is a record of a sync.
    pub fn is_sync_record(&self) -> bool {
        self.event_type == SYNC_RECORD
    }

    /// The number of its lane.
    pub fn lane(&self) -> u64 {
        match &self.lane_key {
            Some(key) => partition::lane_hash(self.destination, key),
            None => partition::lane_hash(self.destination, &self.id.to_string()),
        }
    }
}

/// A delivery's place among those of its lane. Places are compared only where they belong to one order: of the
/// same raw partition, and either of events that were processed as they came, or of events that one source held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LanePlace {
    /// Where its event is in the log.
    pub origin: Origin,
    /// The source that held its event back.
    pub held_by: Option<ShortId>,
}

impl LanePlace {
    /// Whether both belong to one order.
    pub fn is_comparable(&self, other: &Self) -> bool {
        self.origin.partition == other.origin.partition && self.held_by == other.held_by
    }
}

impl From<Origin> for LanePlace {
    /// The place of an event that was processed as it came.
    fn from(origin: Origin) -> Self {
        Self {
            origin,
            held_by: None,
        }
    }
}

/// What has become of a delivery. Later ranks are never undone by a record that comes late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Waits for its first attempt or its turn.
    Pending,
    /// Waits for a retry, or is held.
    Parked,
    /// The receiver has it.
    Delivered,
    /// It used up its retries.
    Dead,
    /// It was cancelled.
    Cancelled,
}

impl DeliveryStatus {
    /// The status as the API shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Parked => "parked",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will be tried.
    pub fn is_settled(self) -> bool {
        self > Self::Parked
    }
}

/// Why an attempt, or a delivery, failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The name did not resolve.
    Dns,
    /// No connection.
    Connect,
    /// No TLS session.
    Tls,
    /// No whole answer in time.
    Timeout,
    /// An address that may not be called.
    AddressRefused,
    /// A status other than 2xx.
    Status,
    /// The answer's body broke off.
    Body,
    /// The outbound proxy failed.
    Proxy,
    /// The destination's share of parked deliveries is used up.
    OverQuota,
    /// The caller has gone.
    Expired,
    /// A person cancelled it, or its destination was deleted.
    Cancelled,
    /// The request could not be made from the delivery.
    Render,
    /// The token endpoint gave no token.
    Auth,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::AddressRefused,
        Self::Status,
        Self::Body,
        Self::Proxy,
        Self::OverQuota,
        Self::Expired,
        Self::Cancelled,
        Self::Render,
        Self::Auth,
    ];

    /// The code as the API shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::AddressRefused => "address_refused",
            Self::Status => "status",
            Self::Body => "body",
            Self::Proxy => "proxy",
            Self::OverQuota => "over_quota",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Render => "render",
            Self::Auth => "auth",
        }
    }
}

/// A failure, with what a person should know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure.
    pub code: ErrorCode,
    /// What happened.
    pub detail: String,
}

/// Largest body of a delivery, bytes: what the largest accepted body may become as JSON.
pub const MAX_DELIVERY_BODY_BYTES: u64 = 64 * 1024 * 1024;
/// Room that a delivery's body needs beside the payload: the members around it in the format `event`.
pub const ENVELOPE_BYTES: usize = 512 * 1024;

/// Most bytes of an answer's body that are kept.
pub const KEPT_RESPONSE_BYTES: usize = 16 * 1024;

/// One HTTP call made for a delivery, with its result.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// The owner's epoch under which it was made.
    pub epoch: u64,
    /// When it started.
    pub started_at: Millis,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// The request's method.
    pub method: String,
    /// The request's URL.
    pub url: String,
    /// The request's headers, credentials left out.
    pub request_headers: Vec<(String, String)>,
    /// The answer's status.
    pub status: Option<u16>,
    /// The answer's headers.
    pub response_headers: Vec<(String, String)>,
    /// The first [`KEPT_RESPONSE_BYTES`] of the answer's body.
    pub response_body: Vec<u8>,
    /// What went wrong.
    pub failure: Option<Failure>,
}
