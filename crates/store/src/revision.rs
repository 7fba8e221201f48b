//! The revision of the definitions: a counter that each change raises by one.

use sea_orm::{ConnectionTrait, DbBackend};

use crate::statement::{change, column, first};
use crate::{StoreError, WriteTransaction};

/// Raises the revision and gives the new one. The row stays locked until the transaction ends, so
/// changes of definitions happen one after another and are committed in the order of their revisions.
///
/// # Errors
/// When the database refuses.
pub async fn raise(transaction: &WriteTransaction) -> Result<i64, StoreError> {
    change(
        &**transaction,
        "UPDATE counters SET value = value + 1 WHERE name = 'revision'",
        vec![],
    )
    .await?;
    current(&**transaction).await
}

/// The newest revision.
///
/// # Errors
/// When the database can't be read.
pub async fn current<C: ConnectionTrait>(connection: &C) -> Result<i64, StoreError> {
    let row = first(
        connection,
        "SELECT value FROM counters WHERE name = 'revision'",
        vec![],
    )
    .await?;
    row.as_ref().map_or(Ok(0), |row| column(row, "value"))
}

/// Makes this transaction the only one that publishes, until it ends. Several config services share a
/// PostgreSQL database; SQLite belongs to one process, which publishes from one task.
///
/// # Errors
/// When the database refuses.
pub async fn lock_publishing(transaction: &WriteTransaction) -> Result<(), StoreError> {
    if transaction.get_database_backend() == DbBackend::Postgres {
        let sql = "SELECT value FROM counters WHERE name = 'publisher' FOR UPDATE";
        first(&**transaction, sql, vec![]).await?;
    }
    Ok(())
}
