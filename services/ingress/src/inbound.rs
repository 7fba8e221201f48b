//! A request that was let in → the event as it is stored.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use hookrail_domain::Millis;
use hookrail_domain::event::{Body, DedupeKey, Event};
use hookrail_domain::event_type::WEBHOOK_RECEIVED;
use hookrail_domain::ids::{EventId, Id, KeyId};
use hookrail_domain::partition;
use hookrail_domain::plan::NO_KEY;
use hookrail_runtime::{TraceParent, ids, random};

use crate::credentials::{kept_headers, kept_query};
use crate::intake::{Intake, Order};

/// The caller's key for taking a request once (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header of W3C Trace Context.
const TRACEPARENT: &str = "traceparent";
/// Longest idempotency key that counts, bytes.
const IDEMPOTENCY_KEY_MAX_BYTES: usize = 255;
/// Headers that are about the transfer, or undone when the body is stored.
const NOT_KEPT: [&str; 4] = [
    "content-encoding",
    "content-length",
    "transfer-encoding",
    "connection",
];

/// What the checks found out about a request.
pub(crate) struct Inbound {
    pub(crate) accepted_at: Millis,
    pub(crate) revision: u64,
    pub(crate) credential: Option<KeyId>,
    pub(crate) client: Option<IpAddr>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) ordering_key: Option<String>,
    pub(crate) dedupe_key: Option<DedupeKey>,
}

impl Inbound {
    /// The event of this request, with its id. Its body is placed afterwards.
    pub(crate) fn into_event(self, intake: &Intake, request: &HttpRequest, partitions: u32) -> Event {
        let headers = request.headers();
        let source = &intake.source;
        let mut event = Event {
            id: EventId::from_parts(self.accepted_at, ids::random_bits()),
            workspace: source.workspace,
            source: Some(source.id),
            event_type: WEBHOOK_RECEIVED.to_owned(),
            revision: self.revision,
            accepted_at: self.accepted_at,
            method: request.method().as_str().to_owned(),
            query: kept_query(intake, self.query),
            headers: kept_headers(intake, headers, &NOT_KEPT),
            content_type: text(headers, CONTENT_TYPE.as_str()).map(str::to_owned),
            body: Body::inline(Vec::new()),
            remote_addr: self.client.map(|client| client.to_string()),
            credential: self.credential,
            ordering_key: self.ordering_key,
            dedupe_key: self.dedupe_key,
            idempotency_key: idempotency_key(headers),
            current_context: None,
            traceparent: traceparent(headers).to_string(),
            reply: None,
            internal: false,
        };
        let id = event.id;
        event.id = id.with_partition(partition_of(&event, &intake.order, partitions));
        event
    }
}

/// The raw partition: by the order that is kept, else by the idempotency or dedupe key so that
/// repetitions meet, else any.
fn partition_of(event: &Event, order: &Order, partitions: u32) -> u32 {
    let scope = event.source.map_or(0, |source| source.as_u128());
    match order {
        Order::Source => partition::of_key(scope, "", partitions),
        Order::Key(_) => {
            let key = event.ordering_key.as_deref().unwrap_or(NO_KEY);
            partition::of_key(scope, key, partitions)
        }
        Order::None if event.keys().next().is_some() => {
            partition::of_key(scope, &event.message_id(), partitions)
        }
        Order::None => partition::of_event(event.id, partitions),
    }
}

fn traceparent(headers: &HeaderMap) -> TraceParent {
    let given = text(headers, TRACEPARENT).and_then(TraceParent::parse);
    given.map_or_else(
        || TraceParent::new(random::bytes()),
        |given| given.child(random::u64()),
    )
}

fn idempotency_key(headers: &HeaderMap) -> Option<String> {
    let key = text(headers, IDEMPOTENCY_KEY)?;
    (1..=IDEMPOTENCY_KEY_MAX_BYTES)
        .contains(&key.len())
        .then(|| key.to_owned())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
