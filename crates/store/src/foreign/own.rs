//! Telling the product's own database from others: what it holds is not for receivers.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sea_orm::DbBackend;
use sea_orm::sqlx::{self, PgConnection, Row};

use super::ForeignError;
use crate::{Store, StoreError, statement};

/// A database of a cluster, and of its replicas.
const IDENTITY: &str = "SELECT CAST(s.system_identifier AS TEXT) || '/' || CAST(d.oid AS TEXT) AS identity \
     FROM pg_control_system() AS s, pg_database AS d WHERE d.datname = current_database()";
/// The server has no such function, so it is not PostgreSQL, which the product's own would be.
const UNDEFINED_FUNCTION: &str = "42883";

const REFUSAL: &str = "it is Hookrail's own database";

fn away(error: StoreError) -> ForeignError {
    ForeignError::Away(format!("Hookrail's own database: {error}"))
}

/// Refuses a connection to the product's own database, or to a replica of it.
pub(super) async fn refuse_postgres(own: &Store, other: &mut PgConnection) -> Result<(), ForeignError> {
    if own.backend() != DbBackend::Postgres {
        return Ok(());
    }
    let row = statement::first(own.reader(), IDENTITY, Vec::new())
        .await
        .map_err(away)?;
    let identity: Option<String> = row
        .map(|row| statement::column(&row, "identity"))
        .transpose()
        .map_err(away)?;
    match sqlx::query(IDENTITY).fetch_one(&mut *other).await {
        Ok(found) if found.try_get::<String, _>("identity").ok() == identity => {
            Err(ForeignError::Own(REFUSAL.to_owned()))
        }
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(refusal)) if refusal.code().as_deref() == Some(UNDEFINED_FUNCTION) => {
            Ok(())
        }
        Err(error) => Err(ForeignError::Own(format!(
            "it can't be told from Hookrail's own database: {error}"
        ))),
    }
}

/// Refuses the file of the product's own database, under whatever name.
pub(super) async fn refuse_file(own: &Store, path: &Path) -> Result<(), ForeignError> {
    if own.backend() != DbBackend::Sqlite {
        return Ok(());
    }
    let found = statement::all(own.reader(), "PRAGMA database_list", Vec::new())
        .await
        .map_err(away)?;
    let other = identity(path);
    for row in &found {
        let file: Option<String> = statement::column(row, "file").map_err(away)?;
        let of_own = file
            .filter(|file| !file.is_empty())
            .map(|file| identity(Path::new(&file)));
        if other.is_none() || of_own == Some(other) {
            return Err(ForeignError::Own(REFUSAL.to_owned()));
        }
    }
    Ok(())
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
