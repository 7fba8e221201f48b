//! The entities of a type in the order of their unique ids' bytes, as a sync reads them: each that is there during
//! the whole reading comes once, whatever happens to others meanwhile.

use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{StoreError, rows, statement};

/// An entity, as far as a sync needs it.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct SyncedEntity {
    /// Its unique id.
    pub unique_id: String,
    /// The whole entity: JSON.
    pub data: String,
    /// See [`crate::entities::EntityVersion`].
    pub version_partition: i64,
    /// See [`crate::entities::EntityVersion`].
    pub version_sequence: i64,
}

/// The entities of a type behind the unique id `after`, at most `most`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn page<C: ConnectionTrait>(
    connection: &C,
    workspace: &str,
    entity_type: &str,
    after: Option<&str>,
    most: u32,
) -> Result<Vec<SyncedEntity>, StoreError> {
    let sql = "SELECT unique_id, data, version_partition, version_sequence FROM entities \
               WHERE workspace = $1 AND entity_type = $2 AND unique_id > $3 AND deleted_at IS NULL \
               ORDER BY unique_id LIMIT $4";
    let values = vec![
        rows::text(workspace),
        rows::text(entity_type),
        after.unwrap_or_default().into(),
        i64::from(most).into(),
    ];
    statement::rows(connection, sql, values).await
}
