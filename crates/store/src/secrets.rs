//! Secrets' values, by the definition that owns them. Written and read in this one place: they come sealed,
//! and what opens them is not known here.

use hookrail_domain::Millis;
use sea_orm::{ConnectionTrait, QueryResult};

use crate::StoreError;
use crate::statement::{all, change, column};

/// One secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// Its id.
    pub id: String,
    /// The definition that it belongs to.
    pub owner_id: String,
    /// JSON Pointer to the definition's field that it is in.
    pub field: String,
    /// Its value, sealed where its owner seals it.
    pub value: String,
    /// When it stops being used.
    pub expires_at: Option<Millis>,
}

impl std::fmt::Debug for SecretRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretRow")
            .field("id", &self.id)
            .field("owner_id", &self.owner_id)
            .finish_non_exhaustive()
    }
}

/// The secrets that a definition has from now on, in the place of those before.
///
/// # Errors
/// When the database refuses.
pub async fn replace<C: ConnectionTrait>(
    connection: &C,
    owner_id: &str,
    rows: &[SecretRow],
) -> Result<(), StoreError> {
    change(
        connection,
        "DELETE FROM secrets WHERE owner_id = $1",
        vec![owner_id.into()],
    )
    .await?;
    let sql = "INSERT INTO secrets (id, owner_id, field, value, expires_at) VALUES ($1, $2, $3, $4, $5)";
    for row in rows {
        let values = vec![
            row.id.clone().into(),
            owner_id.into(),
            row.field.clone().into(),
            row.value.clone().into(),
            row.expires_at.into(),
        ];
        change(connection, sql, values).await?;
    }
    Ok(())
}

/// The secrets of a definition.
///
/// # Errors
/// When the database can't be read.
pub async fn of_owner<C: ConnectionTrait>(
    connection: &C,
    owner_id: &str,
) -> Result<Vec<SecretRow>, StoreError> {
    let sql = "SELECT id, owner_id, field, value, expires_at FROM secrets WHERE owner_id = $1 ORDER BY id";
    let rows = all(connection, sql, vec![owner_id.into()]).await?;
    rows.iter().map(read).collect()
}

/// The first `limit` secrets of all after this id; those after none begin with the first.
///
/// # Errors
/// When the database can't be read.
pub async fn page_after<C: ConnectionTrait>(
    connection: &C,
    after: &str,
    limit: i64,
) -> Result<Vec<SecretRow>, StoreError> {
    let sql = "SELECT id, owner_id, field, value, expires_at FROM secrets WHERE id > $1 ORDER BY id LIMIT $2";
    let rows = all(connection, sql, vec![after.into(), limit.into()]).await?;
    rows.iter().map(read).collect()
}

fn read(row: &QueryResult) -> Result<SecretRow, StoreError> {
    Ok(SecretRow {
        id: column(row, "id")?,
        owner_id: column(row, "owner_id")?,
        field: column(row, "field")?,
        value: column(row, "value")?,
        expires_at: column(row, "expires_at")?,
    })
}
