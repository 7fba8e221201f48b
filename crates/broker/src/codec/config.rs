//! Entries of the snapshot.

use bytes::Bytes;
use hookrail_domain::{
    snapshot::{Definition, Entry, Key},
    workspace::Workspace,
};
use hookrail_proto::v1::{self, snapshot_entry::Definition as Wire};
use prost::Message as _;

use super::{DecodeError, destination, parts, route, source};

/// An entry as config publishes it.
pub fn encode(entry: &Entry) -> Bytes {
    let (kind, id) = kind_and_id(entry.key);
    let definition = entry.definition.as_ref().map(|definition| match definition {
        Definition::Workspace(workspace) => Wire::Workspace(v1::WorkspaceDefinition { code: workspace.code.clone() }),
        Definition::Source(definition) => Wire::Source(source::message(definition)),
        Definition::Destination(definition) => Wire::Destination(destination::message(definition)),
        Definition::Route(definition) => Wire::Route(route::message(definition)),
    });
    v1::SnapshotEntry { revision: entry.revision, kind: kind.into(), id, definition }.encode_to_vec().into()
}

/// Reads an entry; `None` where it is of a kind that this version does not know.
///
/// # Errors
/// When the bytes are not an entry; the error names the field.
pub fn decode(bytes: &[u8]) -> Result<Option<Entry>, DecodeError> {
    let message = v1::SnapshotEntry::decode(bytes)?;
    let Some(key) = read_key(message.kind(), &message.id)? else { return Ok(None) };
    let definition = match (key, message.definition) {
        (_, None) => None,
        (Key::Workspace(id), Some(Wire::Workspace(found))) => {
            Some(Definition::Workspace(Workspace { id, code: found.code }))
        }
        (Key::Source(id), Some(Wire::Source(found))) => Some(Definition::Source(Box::new(source::read(id, found)?))),
        (Key::Destination(id), Some(Wire::Destination(found))) => {
            Some(Definition::Destination(Box::new(destination::read(id, found)?)))
        }
        (Key::Route(id), Some(Wire::Route(found))) => Some(Definition::Route(Box::new(route::read(id, found)?))),
        (_, Some(_)) => return Err(DecodeError::field("definition", "is not of the entry's kind")),
    };
    Ok(Some(Entry { revision: message.revision, key, definition }))
}

/// The bucket's key for a definition: its id says its kind.
pub fn bucket_key(key: Key) -> String {
    kind_and_id(key).1
}

fn kind_and_id(key: Key) -> (v1::DefinitionKind, String) {
    match key {
        Key::Workspace(id) => (v1::DefinitionKind::Workspace, id.to_string()),
        Key::Source(id) => (v1::DefinitionKind::Source, id.to_string()),
        Key::Destination(id) => (v1::DefinitionKind::Destination, id.to_string()),
        Key::Route(id) => (v1::DefinitionKind::Route, id.to_string()),
    }
}

fn read_key(kind: v1::DefinitionKind, id: &str) -> Result<Option<Key>, DecodeError> {
    Ok(Some(match kind {
        v1::DefinitionKind::Workspace => Key::Workspace(parts::parse(id, "id")?),
        v1::DefinitionKind::Source => Key::Source(parts::parse(id, "id")?),
        v1::DefinitionKind::Destination => Key::Destination(parts::parse(id, "id")?),
        v1::DefinitionKind::Route => Key::Route(parts::parse(id, "id")?),
        v1::DefinitionKind::Fetcher | v1::DefinitionKind::Unspecified => return Ok(None),
    }))
}
