//! The values of secrets between the database, where they are sealed, and the definitions in memory, where
//! they are in clear. What an older version stored in clear is read as it is.

use hookrail_keyring::{KeyRing, OpenError, Place, SealError};
use hookrail_runtime::random;
use hookrail_store::sea_orm::ConnectionTrait;
use hookrail_store::secrets::{self, SecretRow};

use crate::error::ApiError;

/// The secrets of a definition, opened.
pub(crate) async fn of_owner<C: ConnectionTrait>(
    connection: &C,
    key_ring: &KeyRing,
    owner_id: &str,
) -> Result<Vec<SecretRow>, ApiError> {
    let sealed = secrets::of_owner(connection, owner_id).await?;
    sealed.into_iter().map(|row| open(key_ring, row)).collect()
}

/// The secrets that a definition has from now on, given in clear, stored sealed.
pub(crate) async fn replace<C: ConnectionTrait>(
    connection: &C,
    key_ring: &KeyRing,
    owner_id: &str,
    rows: Vec<SecretRow>,
) -> Result<(), ApiError> {
    let sealed: Result<Vec<_>, _> = rows.into_iter().map(|row| seal(key_ring, row)).collect();
    Ok(secrets::replace(connection, owner_id, &sealed?).await?)
}

fn open(key_ring: &KeyRing, row: SecretRow) -> Result<SecretRow, ApiError> {
    let opened = key_ring.open_text(Place::of_secret(&row.id), &row.value);
    let failed = |error: OpenError| {
        let about = format!("the secret {} of {}", row.id, row.owner_id);
        ApiError::Internal(anyhow::Error::new(error).context(about))
    };
    let value = opened.map_err(failed)?;
    Ok(SecretRow { value, ..row })
}

fn seal(key_ring: &KeyRing, row: SecretRow) -> Result<SecretRow, ApiError> {
    let sealed = key_ring.seal(Place::of_secret(&row.id), row.value.as_bytes(), random::bytes());
    let value = sealed.map_err(|error: SealError| ApiError::Internal(error.into()))?;
    Ok(SecretRow { value, ..row })
}
