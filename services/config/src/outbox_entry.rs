//! How a change is written into the outbox, and read from it.

use hookrail_broker::codec::{CodecError, decode_entry, encode_entry, entry_key};
use hookrail_domain::snapshot::{Entry, Key};

/// The key of a definition's entry.
pub(crate) fn key_text(key: Key) -> String {
    entry_key(key)
}

/// The key that [`key_text`] wrote.
pub(crate) fn read_key(text: &str) -> Option<Key> {
    let workspace = text.parse().map(Key::Workspace);
    let source = || text.parse().map(Key::Source);
    let destination = || text.parse().map(Key::Destination);
    let route = || text.parse().map(Key::Route);
    let fetcher = || text.parse().map(Key::Fetcher);
    let connection = || text.parse().map(Key::Connection);
    workspace
        .or_else(|_| source())
        .or_else(|_| destination())
        .or_else(|_| route())
        .or_else(|_| fetcher())
        .or_else(|_| connection())
        .ok()
}

/// The bytes of an entry.
pub(crate) fn encode(entry: &Entry) -> Vec<u8> {
    encode_entry(entry).to_vec()
}

/// The entry that [`encode`] wrote.
pub(crate) fn decode(bytes: &[u8]) -> Result<Entry, CodecError> {
    decode_entry(bytes)
}

#[cfg(test)]
mod tests {
    use hookrail_domain::ids::{ConnectionId, DestinationId, FetcherId, RouteId, SourceId, WorkspaceId};

    use super::*;

    #[test]
    fn every_key_is_read_back() {
        for key in [
            Key::Workspace(WorkspaceId::from_u128(1)),
            Key::Source(SourceId::from_u128(2)),
            Key::Destination(DestinationId::from_u128(3)),
            Key::Route(RouteId::from_u128(4)),
            Key::Fetcher(FetcherId::from_u128(5)),
            Key::Connection(ConnectionId::from_u128(6)),
        ] {
            assert_eq!(read_key(&key_text(key)), Some(key));
        }
        assert_eq!(read_key("install"), None);
    }
}
