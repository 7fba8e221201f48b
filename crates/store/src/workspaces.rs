//! Workspaces.

use hookrail_domain::Millis;
use sea_orm::{ConnectionTrait, QueryResult};

use crate::StoreError;
use crate::keyset::IdPage;
use crate::statement::{all, change, column, first};

/// One workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceRow {
    /// Its id.
    pub id: String,
    /// Its code.
    pub code: String,
    /// When it was made.
    pub created_at: Millis,
}

/// Adds a workspace.
///
/// # Errors
/// [`StoreError::is_unique_violation`] where the code is taken.
pub async fn insert<C: ConnectionTrait>(connection: &C, row: &WorkspaceRow) -> Result<(), StoreError> {
    let sql = "INSERT INTO workspaces (id, code, created_at) VALUES ($1, $2, $3)";
    change(
        connection,
        sql,
        vec![
            row.id.clone().into(),
            row.code.clone().into(),
            row.created_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// A workspace by its code.
///
/// # Errors
/// When the database can't be read.
pub async fn find_by_code<C: ConnectionTrait>(
    connection: &C,
    code: &str,
) -> Result<Option<WorkspaceRow>, StoreError> {
    let sql = "SELECT id, code, created_at FROM workspaces WHERE code = $1";
    first(connection, sql, vec![code.into()])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// A workspace by its id.
///
/// # Errors
/// When the database can't be read.
pub async fn find<C: ConnectionTrait>(connection: &C, id: &str) -> Result<Option<WorkspaceRow>, StoreError> {
    let sql = "SELECT id, code, created_at FROM workspaces WHERE id = $1";
    first(connection, sql, vec![id.into()])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// A page of the workspaces.
///
/// # Errors
/// When the database can't be read.
pub async fn list<C: ConnectionTrait>(
    connection: &C,
    page: &IdPage,
) -> Result<Vec<WorkspaceRow>, StoreError> {
    let (comparison, direction) = page.direction();
    let sql = format!(
        "SELECT id, code, created_at FROM workspaces WHERE id {comparison} $1 ORDER BY id {direction} LIMIT $2"
    );
    all(connection, &sql, vec![page.bound().into(), page.limit().into()])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Gives a workspace another code.
///
/// # Errors
/// [`StoreError::is_unique_violation`] where the code is taken.
pub async fn rename<C: ConnectionTrait>(connection: &C, id: &str, code: &str) -> Result<(), StoreError> {
    let sql = "UPDATE workspaces SET code = $1 WHERE id = $2";
    change(connection, sql, vec![code.into(), id.into()]).await?;
    Ok(())
}

/// Removes a workspace that nothing refers to.
///
/// # Errors
/// When the database refuses.
pub async fn delete<C: ConnectionTrait>(connection: &C, id: &str) -> Result<(), StoreError> {
    change(
        connection,
        "DELETE FROM workspaces WHERE id = $1",
        vec![id.into()],
    )
    .await?;
    Ok(())
}

fn read(row: &QueryResult) -> Result<WorkspaceRow, StoreError> {
    Ok(WorkspaceRow {
        id: column(row, "id")?,
        code: column(row, "code")?,
        created_at: column(row, "created_at")?,
    })
}
