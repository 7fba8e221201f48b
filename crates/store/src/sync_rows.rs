//! What is known of the rows of syncs: one row for each, by its key, in the order of keys' bytes.

use hookrail_domain::{
    ids::SyncId,
    sync::decide::{KnownRow, RowHash, RowStatus},
};
use sea_orm::{ConnectionTrait, Value};

use crate::{StoreError, rows, statement};

/// The table, and the columns that identify a row.
const TABLE: &str = "sync_rows";
const KEY: [&str; 2] = ["sync", "row_key"];

/// What is known of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRecord {
    /// Its key.
    pub row_key: String,
    /// The values of its primary key: a JSON list.
    pub key_json: String,
    /// What became of it.
    pub known: KnownRow,
}

/// The rows behind `after` and up to `last`, in order, at most `most`.
///
/// # Errors
/// When the database cannot be used now, or a row can't be read.
pub async fn page<C: ConnectionTrait>(
    connection: &C,
    sync: SyncId,
    after: Option<&str>,
    last: Option<&str>,
    most: u32,
) -> Result<Vec<KnownRecord>, StoreError> {
    let mut values = vec![rows::id(sync), after.unwrap_or_default().into()];
    let mut within = "row_key > $2".to_owned();
    if after.is_none() {
        within = "row_key >= $2".to_owned();
    }
    if let Some(last) = last {
        within.push_str(" AND row_key <= $3");
        values.push(last.into());
    }
    let limit = values.len() + 1;
    values.push(i64::from(most).into());
    let sql = format!(
        "SELECT row_key, key_json, hash, status FROM {TABLE} WHERE sync = $1 AND {within} \
         ORDER BY row_key LIMIT ${limit}"
    );
    let found = statement::all(connection, &sql, values).await?;
    found.iter().map(read).collect()
}

fn read(row: &sea_orm::QueryResult) -> Result<KnownRecord, StoreError> {
    let row_key: String = statement::column(row, "row_key")?;
    let status: i64 = statement::column(row, "status")?;
    let hash: Vec<u8> = statement::column(row, "hash")?;
    let Some(status) = RowStatus::of_number(status) else {
        return Err(StoreError::Unreadable {
            table: TABLE,
            row: row_key,
            reason: format!("status {status} is not known"),
        });
    };
    Ok(KnownRecord {
        row_key,
        key_json: statement::column(row, "key_json")?,
        known: KnownRow {
            status,
            hash: RowHash::from_bytes(&hash),
        },
    })
}

/// Stores what is known of rows now.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn put<C: ConnectionTrait>(
    connection: &C,
    sync: SyncId,
    records: &[KnownRecord],
) -> Result<u64, StoreError> {
    let row = |record: &KnownRecord| {
        vec![
            rows::id(sync),
            record.row_key.as_str().into(),
            record.key_json.as_str().into(),
            Value::Bytes(Some(record.known.hash.as_bytes().to_vec())),
            record.known.status.number().into(),
        ]
    };
    let head = format!("{TABLE} (sync, row_key, key_json, hash, status)");
    let tail = "ON CONFLICT (sync, row_key) DO UPDATE SET key_json = excluded.key_json, hash = excluded.hash, \
                status = excluded.status";
    rows::insert(connection, &head, records.iter().map(row).collect(), tail).await
}

/// What became of rows whose deliveries have ended; `None` = nothing is known of them any more.
///
/// # Errors
/// When the database cannot be used now.
pub async fn settle<C: ConnectionTrait>(
    connection: &C,
    sync: SyncId,
    status: Option<RowStatus>,
    keys: &[&str],
) -> Result<(), StoreError> {
    let wanted = keys
        .iter()
        .map(|key| vec![rows::id(sync), (*key).into()])
        .collect();
    for (tuples, values) in rows::lookups(wanted) {
        let among = rows::among(TABLE, &KEY, &tuples);
        let sql = match status {
            Some(status) => format!("UPDATE {TABLE} SET status = {} WHERE {among}", status.number()),
            None => format!("DELETE FROM {TABLE} WHERE {among}"),
        };
        statement::change(connection, &sql, values).await?;
    }
    Ok(())
}
