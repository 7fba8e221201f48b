//! The id of a request: the same for a caller's repetitions, so that they meet the same answer.

use crate::{
    event::Event,
    ids::{KeyId, SourceId},
    partition,
};

impl Event {
    /// The id under which its answer is kept: by source, credential and idempotency key, else by its own
    /// id. A token of a subject.
    pub fn request_id(&self) -> String {
        let id;
        let (kind, key): (&[u8], &str) = match &self.idempotency_key {
            Some(key) => (b"key", key),
            None => {
                id = self.id.to_string();
                (b"event", &id)
            }
        };
        let source = self.source.map_or(0, SourceId::as_u128).to_be_bytes();
        let credential = self.credential.map_or(0, KeyId::as_u128).to_be_bytes();
        let parts = [b"request", &source[..], &credential, kind, key.as_bytes()];
        partition::token(partition::hash(&parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::Body,
        ids::{EventId, WorkspaceId},
    };

    fn request_id(id: u128, source: u128, credential: Option<u128>, key: Option<&str>) -> String {
        let event = Event {
            id: EventId::from_u128(id),
            workspace: WorkspaceId::from_u128(1),
            source: Some(SourceId::from_u128(source)),
            event_type: String::new(),
            revision: 0,
            accepted_at: 0,
            method: String::new(),
            query: Vec::new(),
            headers: Vec::new(),
            content_type: None,
            body: Body::inline(&b""[..]),
            remote_addr: None,
            credential: credential.map(KeyId::from_u128),
            ordering_key: None,
            dedupe_key: None,
            idempotency_key: key.map(str::to_owned),
            current_context: None,
            traceparent: String::new(),
            reply: None,
            internal: false,
        };
        event.request_id()
    }

    #[test]
    fn a_repetition_of_the_same_caller_has_the_same_id_and_nothing_else_has() {
        let keyed = request_id(1, 2, Some(3), Some("k"));
        assert_eq!(keyed, request_id(9, 2, Some(3), Some("k")));
        for other in [
            request_id(1, 2, Some(3), Some("l")),
            request_id(1, 2, Some(4), Some("k")),
            request_id(1, 2, None, Some("k")),
            request_id(1, 5, Some(3), Some("k")),
            request_id(1, 2, Some(3), None),
        ] {
            assert_ne!(keyed, other);
        }
        assert_ne!(request_id(1, 2, None, None), request_id(2, 2, None, None));
        let event = EventId::from_u128(1).to_string();
        assert_ne!(request_id(1, 2, None, None), request_id(1, 2, None, Some(&event)));
    }
}
