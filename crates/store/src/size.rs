//! How large the store is: exactly on SQLite, estimated on PostgreSQL.
//!
//! PostgreSQL's files don't shrink when rows go, so they tell nothing about whether trimming helps. What is
//! counted there is live rows, by the server's own statistics, times the mean size of some of the newest,
//! times what indexes add.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend};

use crate::{Store, StoreError, statement};

/// Rows whose sizes are taken for the mean of a table.
const SAMPLE: u32 = 1_000;
/// What a row takes besides its columns: its header, its pointer, its padding, bytes.
const ROW_OVERHEAD_BYTES: f64 = 36.0;
/// What tables and their indexes take together, as a multiple of the tables' rows: measured with the journal's
/// tables, whose indexes are larger than their rows.
const INDEX_FACTOR: f64 = 2.2;
/// Tables whose newest rows have the highest keys; of the others any rows are taken.
const BY_AGE: [(&str, &str); 5] = [
    ("events", "id"),
    ("deliveries", "id"),
    ("attempts", "delivery"),
    ("dead_letters", "delivery"),
    ("event_entities", "event"),
];

/// The size of all tables and indexes, bytes: what is in use of them.
///
/// # Errors
/// When the database cannot be used now.
pub async fn bytes_in_use(store: &Store) -> Result<u64, StoreError> {
    match store.backend() {
        DbBackend::Postgres => estimate(store.reader()).await,
        _ => exact(store.reader()).await,
    }
}

/// Whether [`bytes_in_use`] is exact, and follows each removal at once.
pub fn is_exact(store: &Store) -> bool {
    store.backend() != DbBackend::Postgres
}

/// What a row of each table takes, its part of the indexes included, as [`bytes_in_use`] counts it; `None`
/// where that is exact, and follows each removal at once.
///
/// # Errors
/// When the database cannot be used now.
pub async fn row_bytes(store: &Store, tables: &[&'static str]) -> Result<Option<RowBytes>, StoreError> {
    if is_exact(store) {
        return Ok(None);
    }
    let mut by_table = HashMap::new();
    for table in tables {
        let mean = mean_bytes(store.reader(), table).await?;
        by_table.insert(*table, (mean + ROW_OVERHEAD_BYTES) * INDEX_FACTOR);
    }
    Ok(Some(RowBytes(by_table)))
}

/// Bytes of a row, by table.
#[derive(Debug, Clone)]
pub struct RowBytes(HashMap<&'static str, f64>);

impl RowBytes {
    /// What so many rows of a table take, bytes; 0 for a table that is not known.
    pub fn of(&self, table: &str, rows: u64) -> u64 {
        let bytes = self.0.get(table).copied().unwrap_or_default() * rows as f64;
        bytes as u64
    }
}

/// The pages of the file that hold something; freed ones are used again before the file grows.
async fn exact<C: ConnectionTrait>(connection: &C) -> Result<u64, StoreError> {
    let sql = "SELECT (page_count - freelist_count) * page_size AS bytes \
               FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()";
    let row = statement::first(connection, sql, vec![]).await?;
    let bytes: Option<i64> = row.map(|row| statement::column(&row, "bytes")).transpose()?;
    Ok(bytes.unwrap_or_default().unsigned_abs())
}

async fn estimate<C: ConnectionTrait>(connection: &C) -> Result<u64, StoreError> {
    let sql = "SELECT relname::text AS name, n_live_tup AS live FROM pg_stat_user_tables \
               WHERE schemaname = current_schema() AND n_live_tup > 0 ORDER BY relname";
    let mut bytes = 0.0;
    for row in statement::all(connection, sql, vec![]).await? {
        let name: String = statement::column(&row, "name")?;
        let live: i64 = statement::column(&row, "live")?;
        let mean = mean_bytes(connection, &name).await?;
        bytes += live as f64 * (mean + ROW_OVERHEAD_BYTES) * INDEX_FACTOR;
    }
    Ok(bytes as u64)
}

/// The mean size of some of a table's newest rows. Bodies that lie apart count, and are not read.
async fn mean_bytes<C: ConnectionTrait>(connection: &C, table: &str) -> Result<f64, StoreError> {
    let sql = "SELECT column_name::text AS name FROM information_schema.columns \
               WHERE table_schema = current_schema() AND table_name = $1";
    let columns = statement::all(connection, sql, vec![table.into()]).await?;
    let sizes = columns.iter().map(|row| {
        let name: String = statement::column(row, "name")?;
        Ok(format!("COALESCE(pg_column_size({}), 0)", quoted(&name)))
    });
    let sizes = sizes.collect::<Result<Vec<String>, StoreError>>()?.join(" + ");
    let order = BY_AGE.iter().find(|(known, _)| *known == table);
    let order = order
        .map(|(_, column)| format!("ORDER BY {column} DESC"))
        .unwrap_or_default();
    let sql = format!(
        "SELECT COALESCE(AVG(size), 0)::float8 AS mean FROM \
         (SELECT {sizes} AS size FROM {} {order} LIMIT {SAMPLE}) AS sample",
        quoted(table)
    );
    let row = statement::first(connection, &sql, vec![]).await?;
    let mean: Option<f64> = row.map(|row| statement::column(&row, "mean")).transpose()?;
    Ok(mean.unwrap_or_default())
}

/// A name as PostgreSQL reads it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
