//! What the tests store and look for.

use hookrail_domain::{
    Millis,
    event::{Body, Event},
    ids::{EventId, Id, SourceId, WorkspaceId},
};
use hookrail_store::IdPage;

pub(crate) const SOURCE: SourceId = SourceId::from_u128(7);
pub(crate) const OTHER_SOURCE: SourceId = SourceId::from_u128(8);
pub(crate) const WORKSPACE: WorkspaceId = WorkspaceId::from_u128(1);
pub(crate) const OTHER_WORKSPACE: WorkspaceId = WorkspaceId::from_u128(2);

pub(crate) fn id(at: Millis) -> EventId {
    EventId::from_parts(at, 5)
}

pub(crate) fn event(at: Millis, workspace: WorkspaceId, source: SourceId) -> Event {
    Event {
        id: id(at),
        workspace,
        source: Some(source),
        event_type: "webhook.received".into(),
        revision: 4,
        accepted_at: at,
        method: "POST".into(),
        query: vec![],
        headers: vec![],
        content_type: Some("application/json".into()),
        body: Body::inline(&b"{}"[..]),
        remote_addr: None,
        credential: None,
        ordering_key: None,
        dedupe_key: None,
        idempotency_key: None,
        current_context: None,
        traceparent: "00-aaaa-bb-01".into(),
        reply: None,
        internal: false,
    }
}

pub(crate) fn newest(limit: u64) -> IdPage {
    IdPage {
        limit,
        after: None,
        newest_first: true,
    }
}
