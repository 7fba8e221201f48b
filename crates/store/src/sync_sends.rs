//! What syncs have on its way: each record with its body until it is published, and then until its delivery has
//! ended. It is stored in the transaction that moves its run on, so what a crash left unpublished is published by
//! whoever comes next, as it was.

use hookrail_domain::{
    ids::{DeliveryId, RunId, SyncId},
    sync::decide::Operation,
};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use crate::{StoreError, rows, statement};

/// A record on its way.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct SendRow {
    /// Its delivery.
    pub delivery: String,
    /// The sync.
    pub sync: String,
    /// The run.
    pub run: String,
    /// Its number in the run, from 1.
    pub number: i64,
    /// The key of its row.
    pub row_key: String,
    /// 0 = the row is written, 1 = deleted.
    pub operation: i64,
    /// The ordering key, where its destination has an order by key.
    pub lane_key: String,
    /// The version of the entity that it is of.
    pub entity_version: Option<String>,
    /// Its body, until it is published.
    pub body: Option<Vec<u8>>,
    /// 1 once it is published for certain.
    pub published: i64,
}

impl SendRow {
    /// What it tells.
    pub fn operation(&self) -> Operation {
        operation_of(self.operation)
    }
}

/// The number that an operation is stored as.
pub fn number_of(operation: Operation) -> i64 {
    match operation {
        Operation::Write => 0,
        Operation::Delete => 1,
    }
}

fn operation_of(number: i64) -> Operation {
    match number {
        0 => Operation::Write,
        _ => Operation::Delete,
    }
}

const COLUMNS: &str =
    "delivery, sync, run, number, row_key, operation, lane_key, entity_version, body, published";

/// Stores records that are to be sent.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn insert<C: ConnectionTrait>(connection: &C, sends: &[SendRow]) -> Result<u64, StoreError> {
    let row = |send: &SendRow| {
        vec![
            send.delivery.as_str().into(),
            send.sync.as_str().into(),
            send.run.as_str().into(),
            send.number.into(),
            send.row_key.as_str().into(),
            send.operation.into(),
            rows::text(&send.lane_key),
            rows::text_or_null(send.entity_version.as_ref()),
            Value::Bytes(send.body.clone()),
            send.published.into(),
        ]
    };
    let head = format!("sync_sends ({COLUMNS})");
    rows::insert(connection, &head, sends.iter().map(row).collect(), "").await
}

/// The first records of a run that are not known to be published.
///
/// # Errors
/// When the database cannot be used now.
pub async fn unpublished<C: ConnectionTrait>(
    connection: &C,
    run: RunId,
    most: u32,
) -> Result<Vec<SendRow>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM sync_sends WHERE run = $1 AND published = 0 ORDER BY number LIMIT $2");
    statement::rows(connection, &sql, vec![rows::id(run), i64::from(most).into()]).await
}

/// Notes that records are published, in the transaction that stores their deliveries.
///
/// # Errors
/// When the database cannot be used now.
pub async fn published<C: ConnectionTrait>(
    connection: &C,
    deliveries: &[DeliveryId],
) -> Result<(), StoreError> {
    for (tuples, values) in rows::lookups(deliveries.iter().map(|id| vec![rows::id(id)]).collect()) {
        let among = rows::among("sync_sends", &["delivery"], &tuples);
        let sql = format!("UPDATE sync_sends SET published = 1, body = NULL WHERE {among}");
        statement::change(connection, &sql, values).await?;
    }
    Ok(())
}

/// How many records of a sync are on their way.
///
/// # Errors
/// When the database cannot be used now.
pub async fn count<C: ConnectionTrait>(connection: &C, sync: SyncId) -> Result<u64, StoreError> {
    let sql = "SELECT CAST(COALESCE(SUM(pending), 0) AS BIGINT) AS waiting FROM sync_runs \
               WHERE sync = $1 AND pending > 0";
    let row = statement::first(connection, sql, vec![rows::id(sync)]).await?;
    let waiting: i64 = row
        .map(|row| statement::column(&row, "waiting"))
        .transpose()?
        .unwrap_or_default();
    Ok(waiting.unsigned_abs())
}

/// A record whose delivery has ended.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct EndedRow {
    /// The delivery.
    pub delivery: String,
    /// The key of its row.
    pub row_key: String,
    /// 0 = the row is written, 1 = deleted.
    pub operation: i64,
    /// `delivered`, `dead` or `cancelled`.
    pub status: String,
}

impl EndedRow {
    /// What it told.
    pub fn operation(&self) -> Operation {
        operation_of(self.operation)
    }
}

/// The records of a run whose deliveries have ended, at most `most`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn ended<C: ConnectionTrait>(
    connection: &C,
    run: RunId,
    most: u32,
) -> Result<Vec<EndedRow>, StoreError> {
    let sql = "SELECT s.delivery, s.row_key, s.operation, d.status FROM sync_sends AS s \
               JOIN deliveries AS d ON d.id = s.delivery \
               WHERE s.run = $1 AND s.published = 1 AND d.status IN ('delivered', 'dead', 'cancelled') LIMIT $2";
    statement::rows(connection, sql, vec![rows::id(run), i64::from(most).into()]).await
}

/// Takes records off what is on its way; gives those that were there, so that each ends once.
///
/// # Errors
/// When the database cannot be used now.
pub async fn take_off<C: ConnectionTrait>(
    connection: &C,
    ended: &[EndedRow],
) -> Result<Vec<String>, StoreError> {
    let mut gone = Vec::with_capacity(ended.len());
    let wanted = ended.iter().map(|row| vec![row.delivery.as_str().into()]);
    for (tuples, values) in rows::lookups(wanted.collect()) {
        let among = rows::among("sync_sends", &["delivery"], &tuples);
        let sql = format!("DELETE FROM sync_sends WHERE {among} RETURNING delivery");
        for row in statement::all(connection, &sql, values).await? {
            gone.push(statement::column(&row, "delivery")?);
        }
    }
    Ok(gone)
}
