//! The outbox: changes of definitions that were committed and are still to be published.

use hookrail_domain::Millis;
use sea_orm::{ConnectionTrait, QueryResult};

use crate::StoreError;
use crate::statement::{all, change, column};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// The revision that it made.
    pub revision: i64,
    /// The key under which it is published.
    pub entry_key: String,
    /// What is published.
    pub payload: Vec<u8>,
}

/// Adds a change, in the transaction that makes it.
///
/// # Errors
/// When the database refuses.
pub async fn insert<C: ConnectionTrait>(connection: &C, row: OutboxRow) -> Result<(), StoreError> {
    let sql = "INSERT INTO outbox (revision, entry_key, payload) VALUES ($1, $2, $3)";
    change(
        connection,
        sql,
        vec![row.revision.into(), row.entry_key.into(), row.payload.into()],
    )
    .await?;
    Ok(())
}

/// The oldest changes that are still to be published.
///
/// # Errors
/// When the database can't be read.
pub async fn oldest<C: ConnectionTrait>(connection: &C, limit: i64) -> Result<Vec<OutboxRow>, StoreError> {
    let sql = "SELECT revision, entry_key, payload FROM outbox ORDER BY revision LIMIT $1";
    all(connection, sql, vec![limit.into()])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Forgets the changes up to a revision, which are published.
///
/// # Errors
/// When the database refuses.
pub async fn delete_through<C: ConnectionTrait>(connection: &C, revision: i64) -> Result<(), StoreError> {
    change(
        connection,
        "DELETE FROM outbox WHERE revision <= $1",
        vec![revision.into()],
    )
    .await?;
    Ok(())
}

/// Remembers that a definition was deleted.
///
/// # Errors
/// When the database refuses.
pub async fn bury<C: ConnectionTrait>(
    connection: &C,
    entry_key: &str,
    now: Millis,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO tombstones (entry_key, deleted_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    change(connection, sql, vec![entry_key.into(), now.into()]).await?;
    Ok(())
}

/// The keys of definitions that were deleted before a time.
///
/// # Errors
/// When the database can't be read.
pub async fn buried_before<C: ConnectionTrait>(
    connection: &C,
    time: Millis,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT entry_key FROM tombstones WHERE deleted_at < $1 ORDER BY deleted_at LIMIT $2";
    let rows = all(connection, sql, vec![time.into(), limit.into()]).await?;
    rows.iter().map(|row| column(row, "entry_key")).collect()
}

/// Forgets a deleted definition.
///
/// # Errors
/// When the database refuses.
pub async fn unbury<C: ConnectionTrait>(connection: &C, entry_key: &str) -> Result<(), StoreError> {
    change(
        connection,
        "DELETE FROM tombstones WHERE entry_key = $1",
        vec![entry_key.into()],
    )
    .await?;
    Ok(())
}

fn read(row: &QueryResult) -> Result<OutboxRow, StoreError> {
    Ok(OutboxRow {
        revision: column(row, "revision")?,
        entry_key: column(row, "entry_key")?,
        payload: column(row, "payload")?,
    })
}
