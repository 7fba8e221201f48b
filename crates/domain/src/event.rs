//! An event: one accepted inbound webhook, or one event posted by the API. Immutable.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Millis,
    ids::{EventId, KeyId, SourceId, WorkspaceId},
    json::Json,
    large_body,
};

/// Where the bytes of a body are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Here.
    Inline(Arc<[u8]>),
    /// In the object store, under this name, `size` bytes.
    Object {
        /// The object's name.
        name: String,
        /// Its size, bytes.
        size: u64,
    },
}

impl Body {
    /// A body that is here.
    pub fn inline(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::Inline(bytes.into())
    }

    /// The bytes, where they are here.
    pub fn bytes(&self) -> Option<&Arc<[u8]>> {
        match self {
            Self::Inline(bytes) => Some(bytes),
            Self::Object { .. } => None,
        }
    }

    /// Its name in the object store, where it is there.
    pub fn object_name(&self) -> Option<&str> {
        match self {
            Self::Inline(_) => None,
            Self::Object { name, .. } => Some(name),
        }
    }

    /// Its size, bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Object { size, .. } => *size,
        }
    }
}

/// Where a waiting caller is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The ingress that waits.
    pub instance: String,
    /// The request's id.
    pub request: String,
    /// Until when an answer is wanted: the source's time-out.
    pub deadline: Millis,
    /// Until when the caller waits: it may have asked for less.
    pub waits_until: Millis,
    /// Whether what was not sent by the deadline is dropped.
    pub drop_late: bool,
    /// A hash of the request's body, where it came with an idempotency key.
    pub body_hash: Option<String>,
}

/// A sender's id of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedupeKey {
    /// The id.
    pub key: String,
    /// How long it is remembered, seconds.
    pub window_s: u32,
}

/// How long a caller's `Idempotency-Key` is remembered, milliseconds.
pub const IDEMPOTENCY_WINDOW_MS: Millis = 24 * 3600 * 1000;

/// A key by which a repetition of an event is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKey {
    /// The key with what it belongs to, hashed: unique in the installation.
    pub id: String,
    /// How long it is remembered, milliseconds.
    pub window_ms: Millis,
    /// Whether it says that the whole request is the same, so that another body contradicts it.
    pub is_idempotency: bool,
}

/// An event as it is in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its id, which carries its raw partition.
    pub id: EventId,
    /// The workspace that it belongs to.
    pub workspace: WorkspaceId,
    /// The source that took it; `None` for a posted event.
    pub source: Option<SourceId>,
    /// `webhook.received`, or the posted event's own type.
    pub event_type: String,
    /// The revision of the definitions under which it was accepted.
    pub revision: u64,
    /// When it was accepted.
    pub accepted_at: Millis,
    /// The request's method.
    pub method: String,
    /// The request's query, in order, decoded.
    pub query: Vec<(String, String)>,
    /// The request's headers, in order; names in lower case; credentials left out.
    pub headers: Vec<(String, String)>,
    /// The body's content type as declared.
    pub content_type: Option<String>,
    /// The body as received, after content decoding.
    pub body: Body,
    /// The sender's address.
    pub remote_addr: Option<String>,
    /// The credential that let it in.
    pub credential: Option<KeyId>,
    /// The source's ordering key, or the posted one.
    pub ordering_key: Option<String>,
    /// The sender's id of the event, where the source dedupes.
    pub dedupe_key: Option<DedupeKey>,
    /// The caller's `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// `current_context` of a posted event.
    pub current_context: Option<Json>,
    /// The trace that it belongs to (W3C Trace Context).
    pub traceparent: String,
    /// Who waits for its result.
    pub reply: Option<Reply>,
    /// Whether Hookrail made it itself: such an event never causes another of its kind.
    pub internal: bool,
}

impl Event {
    /// The broker's deduplication id: idempotency key, else dedupe key, else its own id.
    pub fn message_id(&self) -> String {
        let first = self.keys().next();
        first.map_or_else(|| self.id.to_string(), |key| key.id)
    }

    /// The keys by which a repetition of it is known: the idempotency key, then the dedupe key.
    pub fn keys(&self) -> impl Iterator<Item = EventKey> {
        let scope = self
            .source
            .map_or(self.workspace.as_u128(), SourceId::as_u128)
            .to_be_bytes();
        // Two senders may choose the same idempotency key; a dedupe key is the source's own.
        let credential = self.credential.map_or(0, KeyId::as_u128).to_be_bytes();
        let hashed = |parts: &[&[u8]]| crate::partition::token(crate::partition::hash(parts));
        let idempotency = self.idempotency_key.as_ref().map(|key| EventKey {
            id: hashed(&[b"idempotency", &scope, &credential, key.as_bytes()]),
            window_ms: IDEMPOTENCY_WINDOW_MS,
            is_idempotency: true,
        });
        let dedupe = self.dedupe_key.as_ref().map(|dedupe| EventKey {
            id: hashed(&[b"dedupe", &scope, dedupe.key.as_bytes()]),
            window_ms: Millis::from(dedupe.window_s) * 1000,
            is_idempotency: false,
        });
        idempotency.into_iter().chain(dedupe)
    }

    /// A hash of its body, by which a repetition is told from a key that was used again.
    pub fn body_hash(&self) -> String {
        match &self.body {
            Body::Inline(bytes) => large_body::content_hash(bytes),
            Body::Object { name, .. } => large_body::hash_in(name).to_owned(),
        }
    }

    /// Its trace id: the second part of its `traceparent`.
    pub fn trace_id(&self) -> &str {
        trace_id(&self.traceparent)
    }
}

/// The trace id in a `traceparent` (W3C Trace Context, section 3.2), or nothing.
pub fn trace_id(traceparent: &str) -> &str {
    traceparent.split('-').nth(1).unwrap_or_default()
}

/// What has become of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// Accepted, not processed yet.
    Received,
    /// Processed: entities stored, deliveries planned.
    Processed,
    /// Left out by its source's filter.
    Filtered,
    /// It could not be decoded or mapped.
    Failed,
    /// A repetition of another.
    Duplicate,
}

impl EventStatus {
    /// The status as the API shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Processed => "processed",
            Self::Filtered => "filtered",
            Self::Failed => "failed",
            Self::Duplicate => "duplicate",
        }
    }
}

/// Where an event is in the log: its raw partition, its sequence there, and a place among the
/// deliveries planned from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The raw partition.
    pub partition: u32,
    /// The sequence in that partition's stream.
    pub sequence: u64,
    /// The place among the event's deliveries.
    pub index: u32,
}

impl std::fmt::Display for Origin {
    /// The form of the header `hookrail-sequence`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.partition, self.sequence, self.index)
    }
}
