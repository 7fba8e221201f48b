//! Whether a destination still owes something: what a change of its order has to wait for.

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
