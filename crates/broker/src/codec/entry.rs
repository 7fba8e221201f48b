//! Entries of the snapshot: one definition, or the mark that it was deleted.

use bytes::Bytes;
use hookrail_domain::snapshot::{Definition, Entry, Key};
use hookrail_domain::workspace::Workspace;
use hookrail_proto::v1;
use prost::Message;

use super::words::{decode, parse};
use super::{CodecError, connection, destination, fetcher, route, source};

/// The bytes of an entry.
pub fn encode_entry(entry: &Entry) -> Bytes {
    let (kind, id) = kind_and_id(entry.key);
    let message = v1::SnapshotEntry {
        revision: entry.revision,
        kind: kind.into(),
        id,
        definition: entry.definition.as_ref().map(definition),
    };
    Bytes::from(message.encode_to_vec())
}

/// Reads an entry.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, CodecError> {
    let message: v1::SnapshotEntry = decode("SnapshotEntry", bytes)?;
    let key = key(message.kind(), &message.id)?;
    let definition = message.definition.map(|found| from_definition(key, found));
    Ok(Entry {
        revision: message.revision,
        key,
        definition: definition.transpose()?,
    })
}

/// The text of an entry's key: its id, whose prefix tells the kind.
pub fn entry_key(key: Key) -> String {
    kind_and_id(key).1
}

/// The key of an id.
pub(crate) fn key_of_id(id: &str) -> Option<Key> {
    let kinds = [
        v1::DefinitionKind::Workspace,
        v1::DefinitionKind::Source,
        v1::DefinitionKind::Destination,
        v1::DefinitionKind::Route,
        v1::DefinitionKind::Fetcher,
        v1::DefinitionKind::Connection,
    ];
    kinds.into_iter().find_map(|kind| key(kind, id).ok())
}

fn kind_and_id(key: Key) -> (v1::DefinitionKind, String) {
    match key {
        Key::Workspace(id) => (v1::DefinitionKind::Workspace, id.to_string()),
        Key::Source(id) => (v1::DefinitionKind::Source, id.to_string()),
        Key::Destination(id) => (v1::DefinitionKind::Destination, id.to_string()),
        Key::Route(id) => (v1::DefinitionKind::Route, id.to_string()),
        Key::Fetcher(id) => (v1::DefinitionKind::Fetcher, id.to_string()),
        Key::Connection(id) => (v1::DefinitionKind::Connection, id.to_string()),
    }
}

fn key(kind: v1::DefinitionKind, id: &str) -> Result<Key, CodecError> {
    match kind {
        v1::DefinitionKind::Workspace => parse("id", id).map(Key::Workspace),
        v1::DefinitionKind::Source => parse("id", id).map(Key::Source),
        v1::DefinitionKind::Destination => parse("id", id).map(Key::Destination),
        v1::DefinitionKind::Route => parse("id", id).map(Key::Route),
        v1::DefinitionKind::Fetcher => parse("id", id).map(Key::Fetcher),
        v1::DefinitionKind::Connection => parse("id", id).map(Key::Connection),
        v1::DefinitionKind::Unspecified => Err(CodecError::new("kind", "is not one that this version knows")),
    }
}

fn definition(definition: &Definition) -> v1::snapshot_entry::Definition {
    use v1::snapshot_entry::Definition as Wire;
    match definition {
        Definition::Workspace(workspace) => Wire::Workspace(v1::WorkspaceDefinition {
            code: workspace.code.clone(),
        }),
        Definition::Source(found) => Wire::Source(source::to_message(found)),
        Definition::DeletedSource(found) => Wire::DeletedSource(source::to_message(found)),
        Definition::Destination(found) => Wire::Destination(destination::to_message(found)),
        Definition::Route(found) => Wire::Route(route::to_message(found)),
        Definition::Fetcher(found) => Wire::Fetcher(fetcher::to_message(found)),
        Definition::Connection(found) => Wire::Connection(connection::to_message(found)),
    }
}

fn from_definition(key: Key, definition: v1::snapshot_entry::Definition) -> Result<Definition, CodecError> {
    use v1::snapshot_entry::Definition as Wire;
    match (key, definition) {
        (Key::Workspace(id), Wire::Workspace(found)) => {
            let code = found.code;
            Ok(Definition::Workspace(Workspace { id, code }))
        }
        (Key::Source(id), Wire::Source(found)) => {
            source::from_message(id, found).map(|source| Definition::Source(Box::new(source)))
        }
        (Key::Source(id), Wire::DeletedSource(found)) => {
            source::from_message(id, found).map(|source| Definition::DeletedSource(Box::new(source)))
        }
        (Key::Destination(id), Wire::Destination(found)) => destination::from_message(id, found)
            .map(|destination| Definition::Destination(Box::new(destination))),
        (Key::Route(id), Wire::Route(found)) => {
            route::from_message(id, found).map(|route| Definition::Route(Box::new(route)))
        }
        (Key::Fetcher(id), Wire::Fetcher(found)) => {
            fetcher::from_message(id, found).map(|fetcher| Definition::Fetcher(Box::new(fetcher)))
        }
        (Key::Connection(id), Wire::Connection(found)) => {
            connection::from_message(id, found).map(|connection| Definition::Connection(Box::new(connection)))
        }
        _ => Err(CodecError::new("definition", "is not of the entry's kind")),
    }
}

#[cfg(test)]
mod tests;
