//! Access tokens of the API: their hashes, never their text.

use hookrail_domain::Millis;
use sea_orm::{ConnectionTrait, QueryResult};

use crate::StoreError;
use crate::keyset::IdPage;
use crate::statement::{all, change, column, first};

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id.
    pub id: String,
    /// The workspace that it belongs to; `None` = root, which may act in any.
    pub workspace_id: Option<String>,
    /// `admin`, `editor` or `viewer`.
    pub role: String,
    /// What its owner calls it.
    pub label: String,
    /// SHA-256 of its text, lower-case hex.
    pub hash: String,
    /// The end of its text.
    pub hint: String,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Millis>,
    /// When it stops being taken; `None` = never.
    pub expires_at: Option<Millis>,
}

/// Which tokens are seen.
#[derive(Debug, Clone, Copy)]
pub struct TokenScope<'a> {
    /// Those of this workspace.
    pub workspace_id: &'a str,
    /// And those of root, for one of root.
    pub with_root: bool,
}

impl TokenScope<'_> {
    fn condition(&self, place: &str) -> String {
        let root = if self.with_root {
            " OR workspace_id IS NULL"
        } else {
            ""
        };
        format!("(workspace_id = {place}{root})")
    }
}

const COLUMNS: &str = "id, workspace_id, role, label, hash, hint, created_at, last_used_at, expires_at";

/// Adds a token.
///
/// # Errors
/// When the database refuses.
pub async fn insert<C: ConnectionTrait>(connection: &C, row: &TokenRow) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO tokens ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    let values = vec![
        row.id.clone().into(),
        row.workspace_id.clone().into(),
        row.role.clone().into(),
        row.label.clone().into(),
        row.hash.clone().into(),
        row.hint.clone().into(),
        row.created_at.into(),
        row.last_used_at.into(),
        row.expires_at.into(),
    ];
    change(connection, &sql, values).await?;
    Ok(())
}

/// The token with this hash.
///
/// # Errors
/// When the database can't be read.
pub async fn find_by_hash<C: ConnectionTrait>(
    connection: &C,
    hash: &str,
) -> Result<Option<TokenRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM tokens WHERE hash = $1");
    first(connection, &sql, vec![hash.into()])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// The token with this id among those that are seen from a workspace.
///
/// # Errors
/// When the database can't be read.
pub async fn find<C: ConnectionTrait>(
    connection: &C,
    scope: TokenScope<'_>,
    id: &str,
) -> Result<Option<TokenRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM tokens WHERE id = $1 AND {}",
        scope.condition("$2")
    );
    first(connection, &sql, vec![id.into(), scope.workspace_id.into()])
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// A page of the tokens that are seen from a workspace.
///
/// # Errors
/// When the database can't be read.
pub async fn list<C: ConnectionTrait>(
    connection: &C,
    scope: TokenScope<'_>,
    page: &IdPage,
) -> Result<Vec<TokenRow>, StoreError> {
    let (comparison, direction) = page.direction();
    let sql = format!(
        "SELECT {COLUMNS} FROM tokens WHERE {} AND id {comparison} $2 ORDER BY id {direction} LIMIT $3",
        scope.condition("$1")
    );
    let values = vec![
        scope.workspace_id.into(),
        page.bound().into(),
        page.limit().into(),
    ];
    all(connection, &sql, values).await?.iter().map(read).collect()
}

/// Whether there is any token of root.
///
/// # Errors
/// When the database can't be read.
pub async fn has_root<C: ConnectionTrait>(connection: &C) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM tokens WHERE workspace_id IS NULL LIMIT 1";
    Ok(first(connection, sql, vec![]).await?.is_some())
}

/// How many tokens other than this one are admins of the same workspace, or of root with it, and have not
/// ended at `now`.
///
/// # Errors
/// When the database can't be read.
pub async fn other_admins<C: ConnectionTrait>(
    connection: &C,
    token: &TokenRow,
    now: Millis,
) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) AS n FROM tokens WHERE role = 'admin' AND id <> $1 \
               AND COALESCE(workspace_id, '') = $2 AND (expires_at IS NULL OR expires_at > $3)";
    let workspace = token.workspace_id.clone().unwrap_or_default();
    let row = first(
        connection,
        sql,
        vec![token.id.as_str().into(), workspace.into(), now.into()],
    )
    .await?;
    row.as_ref().map_or(Ok(0), |row| column(row, "n"))
}

/// Removes all tokens of a workspace.
///
/// # Errors
/// When the database refuses.
pub async fn delete_of<C: ConnectionTrait>(connection: &C, workspace_id: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM tokens WHERE workspace_id = $1";
    change(connection, sql, vec![workspace_id.into()]).await?;
    Ok(())
}

/// Remembers when a token was used.
///
/// # Errors
/// When the database refuses.
pub async fn touch<C: ConnectionTrait>(connection: &C, id: &str, now: Millis) -> Result<(), StoreError> {
    change(
        connection,
        "UPDATE tokens SET last_used_at = $2 WHERE id = $1",
        vec![id.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// Removes a token.
///
/// # Errors
/// When the database refuses.
pub async fn delete<C: ConnectionTrait>(connection: &C, id: &str) -> Result<(), StoreError> {
    change(connection, "DELETE FROM tokens WHERE id = $1", vec![id.into()]).await?;
    Ok(())
}

fn read(row: &QueryResult) -> Result<TokenRow, StoreError> {
    Ok(TokenRow {
        id: column(row, "id")?,
        workspace_id: column(row, "workspace_id")?,
        role: column(row, "role")?,
        label: column(row, "label")?,
        hash: column(row, "hash")?,
        hint: column(row, "hint")?,
        created_at: column(row, "created_at")?,
        last_used_at: column(row, "last_used_at")?,
        expires_at: column(row, "expires_at")?,
    })
}
