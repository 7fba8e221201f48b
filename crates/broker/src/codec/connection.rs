//! Connections.

use hookrail_domain::connection::{Connection, ConnectionSpec};
use hookrail_domain::ids::ConnectionId;
use hookrail_proto::v1;

use super::CodecError;
use super::words::{from_secret, parse, secret};

pub(super) fn to_message(connection: &Connection) -> v1::ConnectionDefinition {
    let spec = &connection.spec;
    v1::ConnectionDefinition {
        workspace: connection.workspace.to_string(),
        name: spec.name.clone(),
        labels: spec.labels.clone(),
        database_url: Some(secret(&spec.database_url)),
    }
}

pub(super) fn from_message(
    id: ConnectionId,
    message: v1::ConnectionDefinition,
) -> Result<Connection, CodecError> {
    Ok(Connection {
        id,
        workspace: parse("connection.workspace", &message.workspace)?,
        spec: ConnectionSpec {
            name: message.name,
            labels: message.labels,
            database_url: from_secret("connection.database_url", message.database_url)?,
        },
    })
}
