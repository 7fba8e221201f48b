//! Whether a destination still owes something, and how much: what a change of its order, and what can wait,
//! have to wait for.

use sea_orm::ConnectionTrait;

use crate::StoreError;
use crate::statement::first;

/// Whether any delivery to the destination is neither delivered nor dead nor cancelled.
///
/// # Errors
/// When the database can't be read.
pub async fn exist<C: ConnectionTrait>(connection: &C, destination_id: &str) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM deliveries WHERE destination = $1 AND status IN ('pending', 'parked') LIMIT 1";
    Ok(first(connection, sql, vec![destination_id.into()])
        .await?
        .is_some())
}

/// How many deliveries to the destination are neither delivered nor dead nor cancelled; counted up to `most`.
///
/// # Errors
/// When the database can't be read.
pub async fn count<C: ConnectionTrait>(
    connection: &C,
    destination_id: &str,
    most: u32,
) -> Result<u32, StoreError> {
    let sql = "SELECT COUNT(*) AS waiting FROM (SELECT 1 AS one FROM deliveries WHERE destination = $1 \
               AND status IN ('pending', 'parked') LIMIT $2) AS unsettled";
    let row = first(
        connection,
        sql,
        vec![destination_id.into(), i64::from(most).into()],
    )
    .await?;
    let waiting = row.map(|row| row.try_get::<i64>("", "waiting")).transpose()?;
    Ok(u32::try_from(waiting.unwrap_or_default()).unwrap_or(u32::MAX))
}
