//! Finding definitions by their names, and by what they mention: the tables are those of
//! [`crate::definition_rows`].

use sea_orm::ConnectionTrait;

use crate::StoreError;
use crate::definition_rows::{COLUMNS, DefinitionRow, DefinitionTable, read};
use crate::keyset::IdPage;
use crate::statement::{all, first};

/// A workspace's definition of this name.
///
/// # Errors
/// When the database can't be read.
pub async fn find<C: ConnectionTrait>(
    connection: &C,
    table: DefinitionTable,
    workspace_id: &str,
    name: &str,
) -> Result<Option<DefinitionRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {} WHERE workspace_id = $1 AND name = $2",
        table.name()
    );
    let row = first(connection, &sql, vec![workspace_id.into(), name.into()]).await?;
    row.as_ref().map(read).transpose()
}

/// A page of a workspace's definitions in the order of their names.
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
        "SELECT {COLUMNS} FROM {} WHERE workspace_id = $1 AND name {comparison} $2 ORDER BY name {direction} LIMIT $3",
        table.name()
    );
    let values = vec![workspace_id.into(), page.bound().into(), page.limit().into()];
    all(connection, &sql, values).await?.iter().map(read).collect()
}

/// The workspace's definitions in whose rules the JSON text of `text` occurs, and maybe others: `_` stands for
/// any character. It reads all of them.
///
/// # Errors
/// When the database can't be read.
pub async fn mentioning<C: ConnectionTrait>(
    connection: &C,
    table: DefinitionTable,
    workspace_id: &str,
    text: &str,
) -> Result<Vec<DefinitionRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {} WHERE workspace_id = $1 AND spec LIKE $2 ORDER BY id",
        table.name()
    );
    let pattern = format!("%\"{text}\"%");
    let rows = all(connection, &sql, vec![workspace_id.into(), pattern.into()]).await?;
    rows.iter().map(read).collect()
}
