//! Sources, destinations, routes, fetchers, event types, connections and syncs: tables of the same shape.
//!
//! A definition's rules are JSON text that this crate doesn't read. Secrets' values are in a table of
//! their own.

use hookrail_domain::Millis;
use sea_orm::{ConnectionTrait, QueryResult};

use crate::StoreError;
use crate::keyset::IdPage;
use crate::statement::{all, change, column, first};

/// Which of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DefinitionTable {
    /// Inbound webhooks.
    Sources,
    /// Outbound webhooks.
    Destinations,
    /// What connects them.
    Routes,
    /// How entities are got by their ids.
    Fetchers,
    /// What one's own events are.
    EventTypes,
    /// Other databases.
    Connections,
    /// Replications of rows.
    Syncs,
}

impl DefinitionTable {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Destinations => "destinations",
            Self::Routes => "routes",
            Self::Fetchers => "fetchers",
            Self::EventTypes => "event_types",
            Self::Connections => "connections",
            Self::Syncs => "syncs",
        }
    }
}

/// One definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionRow {
    /// Its id.
    pub id: String,
    /// Its workspace's id.
    pub workspace_id: String,
    /// Unique in the workspace.
    pub name: String,
    /// What its owner wrote, as JSON without secrets' values.
    pub spec: String,
    /// The unguessable segment of a source's URL; empty for others.
    pub token: String,
    /// A source's former names, as JSON; `[]` for others.
    pub old_names: String,
    /// The revision of its last change.
    pub revision: i64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

pub(crate) const COLUMNS: &str =
    "id, workspace_id, name, spec, token, old_names, revision, created_at, updated_at";

/// Adds a definition.
///
/// # Errors
/// [`StoreError::is_unique_violation`] where the name is taken.
pub async fn insert<C: ConnectionTrait>(
    connection: &C,
    table: DefinitionTable,
    row: &DefinitionRow,
) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO {} ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        table.name()
    );
    let values = vec![
        row.id.clone().into(),
        row.workspace_id.clone().into(),
        row.name.clone().into(),
        row.spec.clone().into(),
        row.token.clone().into(),
        row.old_names.clone().into(),
        row.revision.into(),
        row.created_at.into(),
        row.updated_at.into(),
    ];
    change(connection, &sql, values).await?;
    Ok(())
}

/// Writes what can change of a definition.
///
/// # Errors
/// [`StoreError::is_unique_violation`] where the new name is taken.
pub async fn update<C: ConnectionTrait>(
    connection: &C,
    table: DefinitionTable,
    row: &DefinitionRow,
) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE {} SET name = $2, spec = $3, old_names = $4, revision = $5, updated_at = $6 WHERE id = $1",
        table.name()
    );
    let values = vec![
        row.id.clone().into(),
        row.name.clone().into(),
        row.spec.clone().into(),
        row.old_names.clone().into(),
        row.revision.into(),
        row.updated_at.into(),
    ];
    change(connection, &sql, values).await?;
    Ok(())
}

/// Removes a definition.
///
/// # Errors
/// When the database refuses.
pub async fn delete<C: ConnectionTrait>(
    connection: &C,
    table: DefinitionTable,
    id: &str,
) -> Result<(), StoreError> {
    change(
        connection,
        &format!("DELETE FROM {} WHERE id = $1", table.name()),
        vec![id.into()],
    )
    .await?;
    Ok(())
}

/// A definition of a workspace.
///
/// # Errors
/// When the database can't be read.
pub async fn find<C: ConnectionTrait>(
    connection: &C,
    table: DefinitionTable,
    workspace_id: &str,
    id: &str,
) -> Result<Option<DefinitionRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {} WHERE id = $1 AND workspace_id = $2",
        table.name()
    );
    let row = first(connection, &sql, vec![id.into(), workspace_id.into()]).await?;
    row.as_ref().map(read).transpose()
}

/// The id of the workspace that a definition belongs to.
///
/// # Errors
/// When the database can't be read.
pub async fn workspace_of<C: ConnectionTrait>(
    connection: &C,
    table: DefinitionTable,
    id: &str,
) -> Result<Option<String>, StoreError> {
    let sql = format!("SELECT workspace_id FROM {} WHERE id = $1", table.name());
    let row = first(connection, &sql, vec![id.into()]).await?;
    row.as_ref().map(|row| column(row, "workspace_id")).transpose()
}

/// A page of a workspace's definitions.
///
/// # Errors
/// When the database can't be read.
pub async fn list<C: ConnectionTrait>(
    connection: &C,
    table: DefinitionTable,
    workspace_id: &str,
    page: &IdPage,
) -> Result<Vec<DefinitionRow>, StoreError> {
    let (comparison, direction) = page.direction();
    let sql = format!(
        "SELECT {COLUMNS} FROM {} WHERE workspace_id = $1 AND id {comparison} $2 ORDER BY id {direction} LIMIT $3",
        table.name()
    );
    let values = vec![workspace_id.into(), page.bound().into(), page.limit().into()];
    all(connection, &sql, values).await?.iter().map(read).collect()
}

/// How many definitions of a kind a workspace has.
///
/// # Errors
/// When the database can't be read.
pub async fn count<C: ConnectionTrait>(
    connection: &C,
    table: DefinitionTable,
    workspace_id: &str,
) -> Result<i64, StoreError> {
    let sql = format!(
        "SELECT COUNT(*) AS n FROM {} WHERE workspace_id = $1",
        table.name()
    );
    let row = first(connection, &sql, vec![workspace_id.into()]).await?;
    row.as_ref().map_or(Ok(0), |row| column(row, "n"))
}

pub(crate) fn read(row: &QueryResult) -> Result<DefinitionRow, StoreError> {
    Ok(DefinitionRow {
        id: column(row, "id")?,
        workspace_id: column(row, "workspace_id")?,
        name: column(row, "name")?,
        spec: column(row, "spec")?,
        token: column(row, "token")?,
        old_names: column(row, "old_names")?,
        revision: column(row, "revision")?,
        created_at: column(row, "created_at")?,
        updated_at: column(row, "updated_at")?,
    })
}
