//! The record that ties this database to one installation. The broker holds the same.

use sea_orm::ConnectionTrait;

use crate::StoreError;
use crate::statement::{change, column, first};

/// The installation's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallRow {
    /// Random, made once.
    pub id: String,
    /// The prefix of all names on the broker.
    pub prefix: String,
    /// The number of raw and of delivery partitions.
    pub partitions: i64,
    /// The version of the stored formats.
    pub format_version: i64,
}

/// The record; `None` before the first start.
///
/// # Errors
/// When the database can't be read.
pub async fn find<C: ConnectionTrait>(connection: &C) -> Result<Option<InstallRow>, StoreError> {
    let sql = "SELECT id, prefix, partitions, format_version FROM install";
    let row = first(connection, sql, vec![]).await?;
    let read = |row: &sea_orm::QueryResult| {
        Ok(InstallRow {
            id: column(row, "id")?,
            prefix: column(row, "prefix")?,
            partitions: column(row, "partitions")?,
            format_version: column(row, "format_version")?,
        })
    };
    row.as_ref().map(read).transpose()
}

/// Writes the record where there is none; what is there afterwards is read with [`find`].
///
/// # Errors
/// When the database refuses.
pub async fn insert_if_missing<C: ConnectionTrait>(
    connection: &C,
    row: &InstallRow,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO install (singleton, id, prefix, partitions, format_version) VALUES (1, $1, $2, $3, $4) \
               ON CONFLICT DO NOTHING";
    let values = vec![
        row.id.clone().into(),
        row.prefix.clone().into(),
        row.partitions.into(),
        row.format_version.into(),
    ];
    change(connection, sql, values).await?;
    Ok(())
}

/// Whether the database holds anything that an installation made: definitions or progress.
///
/// # Errors
/// When the database can't be read.
pub async fn has_definitions<C: ConnectionTrait>(connection: &C) -> Result<bool, StoreError> {
    let sql = "SELECT value FROM counters WHERE name = 'revision' AND value > 0";
    Ok(first(connection, sql, vec![]).await?.is_some())
}
