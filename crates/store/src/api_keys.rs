//! API keys of sources: their hashes, never their text.

use hookrail_domain::Millis;
use sea_orm::{ConnectionTrait, QueryResult};

use crate::StoreError;
use crate::statement::{all, change, column, first};

/// One key of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// Its id.
    pub id: String,
    /// The source that it opens.
    pub source_id: String,
    /// What its owner calls it.
    pub label: String,
    /// SHA-256 of its text, lower-case hex.
    pub hash: String,
    /// The end of its text.
    pub hint: String,
    /// When it was made.
    pub created_at: Millis,
}

const COLUMNS: &str = "id, source_id, label, hash, hint, created_at";

/// Adds a key.
///
/// # Errors
/// [`StoreError::is_unique_violation`] where the source has that key already.
pub async fn insert<C: ConnectionTrait>(connection: &C, row: &ApiKeyRow) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO api_keys ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6)");
    let values = vec![
        row.id.clone().into(),
        row.source_id.clone().into(),
        row.label.clone().into(),
        row.hash.clone().into(),
        row.hint.clone().into(),
        row.created_at.into(),
    ];
    change(connection, &sql, values).await?;
    Ok(())
}

/// Gives a key another label.
///
/// # Errors
/// When the database refuses.
pub async fn relabel<C: ConnectionTrait>(connection: &C, id: &str, label: &str) -> Result<(), StoreError> {
    change(
        connection,
        "UPDATE api_keys SET label = $2 WHERE id = $1",
        vec![id.into(), label.into()],
    )
    .await?;
    Ok(())
}

/// Removes a key.
///
/// # Errors
/// When the database refuses.
pub async fn delete<C: ConnectionTrait>(connection: &C, id: &str) -> Result<(), StoreError> {
    change(connection, "DELETE FROM api_keys WHERE id = $1", vec![id.into()]).await?;
    Ok(())
}

/// A key of a source.
///
/// # Errors
/// When the database can't be read.
pub async fn find<C: ConnectionTrait>(
    connection: &C,
    source_id: &str,
    id: &str,
) -> Result<Option<ApiKeyRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE source_id = $1 AND id = $2");
    let row = first(connection, &sql, vec![source_id.into(), id.into()]).await?;
    row.as_ref().map(read).transpose()
}

/// All keys of a source, oldest first. A source has a limited number of them.
///
/// # Errors
/// When the database can't be read.
pub async fn of_source<C: ConnectionTrait>(
    connection: &C,
    source_id: &str,
) -> Result<Vec<ApiKeyRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE source_id = $1 ORDER BY id");
    all(connection, &sql, vec![source_id.into()])
        .await?
        .iter()
        .map(read)
        .collect()
}

fn read(row: &QueryResult) -> Result<ApiKeyRow, StoreError> {
    Ok(ApiKeyRow {
        id: column(row, "id")?,
        source_id: column(row, "source_id")?,
        label: column(row, "label")?,
        hash: column(row, "hash")?,
        hint: column(row, "hint")?,
        created_at: column(row, "created_at")?,
    })
}
