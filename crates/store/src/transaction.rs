//! A write transaction: what is written in it is seen by others all at once, or never.

use std::ops::Deref;

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

use crate::StoreError;

/// A write transaction. Derefs to sea-orm's, so it is a `ConnectionTrait`. Dropped without
/// [`WriteTransaction::commit`], it is rolled back.
#[derive(Debug)]
pub struct WriteTransaction(DatabaseTransaction);

impl WriteTransaction {
    /// Begins one. On SQLite it is `BEGIN IMMEDIATE`: a deferred one that reads first and writes
    /// later fails with BUSY, whatever the busy time-out, when another process wrote in between.
    pub(crate) async fn begin(writer: &DatabaseConnection) -> Result<Self, StoreError> {
        let options = TransactionOptions {
            isolation_level: None,
            access_mode: None,
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        };
        Ok(Self(writer.begin_with_options(options).await?))
    }

    /// Makes all of it durable.
    ///
    /// # Errors
    /// When the database refuses or goes away; what was written may then be there or not.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }

    /// Undoes all of it. Dropping does the same, in the background.
    ///
    /// # Errors
    /// When the database goes away, which undoes it too.
    pub async fn rollback(self) -> Result<(), StoreError> {
        Ok(self.0.rollback().await?)
    }
}

impl Deref for WriteTransaction {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.0
    }
}
