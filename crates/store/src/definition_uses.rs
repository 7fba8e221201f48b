//! Which definition uses which, so that what is in use is found without reading all definitions.

use sea_orm::ConnectionTrait;

use crate::StoreError;
use crate::statement::{all, change, column};

/// Says what a definition uses now, in the place of what it used before.
///
/// # Errors
/// When the database refuses.
pub async fn replace<C: ConnectionTrait>(
    connection: &C,
    user_id: &str,
    used_ids: &[String],
) -> Result<(), StoreError> {
    change(
        connection,
        "DELETE FROM definition_uses WHERE user_id = $1",
        vec![user_id.into()],
    )
    .await?;
    for used_id in used_ids {
        let sql = "INSERT INTO definition_uses (user_id, used_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        change(connection, sql, vec![user_id.into(), used_id.as_str().into()]).await?;
    }
    Ok(())
}

/// The ids of the definitions that use `used_id`, oldest first.
///
/// # Errors
/// When the database can't be read.
pub async fn users_of<C: ConnectionTrait>(connection: &C, used_id: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT user_id FROM definition_uses WHERE used_id = $1 ORDER BY user_id";
    all(connection, sql, vec![used_id.into()])
        .await?
        .iter()
        .map(|row| column(row, "user_id"))
        .collect()
}
