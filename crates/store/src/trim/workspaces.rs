//! Entities of workspaces that are gone, with their versions and terms. Nobody can read them any more; their
//! events and deliveries go with their time.

use std::collections::BTreeSet;

use hookrail_domain::ids::WorkspaceId;
use sea_orm::ConnectionTrait;

use crate::{StoreError, entity_terms, rows, statement};

/// The first workspace after `after` that has entities and is defined no more. None where no workspace is
/// defined at all: then the definitions have not been written yet.
///
/// # Errors
/// When the database cannot be used now.
pub async fn gone_after<C: ConnectionTrait>(
    connection: &C,
    after: Option<WorkspaceId>,
) -> Result<Option<WorkspaceId>, StoreError> {
    let defined: BTreeSet<String> = statement::all(connection, "SELECT id FROM workspaces", Vec::new())
        .await?
        .iter()
        .map(|row| statement::column(row, "id"))
        .collect::<Result<_, _>>()?;
    let mut after = after.map(|id| id.to_string()).unwrap_or_default();
    while !defined.is_empty() {
        // One look into the index for each workspace: a condition over all entities would read them all.
        let sql = "SELECT MIN(workspace) AS workspace FROM entities WHERE workspace > $1";
        let row = statement::first(connection, sql, vec![rows::text(&after)]).await?;
        let found = row.map(|row| statement::column::<Option<String>>(&row, "workspace"));
        let Some(found) = found.transpose()?.flatten() else {
            break;
        };
        if !defined.contains(&found) {
            return read(found).map(Some);
        }
        after = found;
    }
    Ok(None)
}

/// Removes at most `most` entities of a workspace, and of its versions and terms as many; gives how many rows
/// went. The entities go last: by them the workspace is found again.
///
/// # Errors
/// When the database cannot be used now.
pub async fn go<C: ConnectionTrait>(
    connection: &C,
    workspace: WorkspaceId,
    most: u32,
) -> Result<u64, StoreError> {
    let mut gone = entity_terms::forget_workspace(connection, workspace, most).await?;
    for (table, key) in [
        (
            "entity_versions",
            "workspace, entity_type, unique_id, number, version_partition, version_sequence",
        ),
        ("entities", "workspace, entity_type, unique_id"),
    ] {
        if gone == 0 {
            let sql = format!(
                "DELETE FROM {table} WHERE workspace = $1 AND ({key}) IN \
                 (SELECT {key} FROM {table} WHERE workspace = $1 LIMIT $2)"
            );
            let values = vec![rows::id(workspace), i64::from(most).into()];
            gone = statement::change(connection, &sql, values).await?;
        }
    }
    Ok(gone)
}

fn read(id: String) -> Result<WorkspaceId, StoreError> {
    id.parse().map_err(|_| StoreError::Unreadable {
        table: "entities",
        row: id,
        reason: "its workspace has no id".to_owned(),
    })
}
