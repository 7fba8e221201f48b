//! Copying a SQLite database as a whole, checked.

use std::path::Path;

use sea_orm::DbBackend;

use crate::{Store, StoreError, statement};

/// Writes a copy of a SQLite database, compact and whole, into a file that isn't there yet.
///
/// # Errors
/// [`StoreError::Url`] for another kind of database; when the copy can't be written, or is damaged.
pub async fn copy_to(store: &Store, file: &Path) -> Result<(), StoreError> {
    if store.backend() != DbBackend::Sqlite {
        return Err(StoreError::Url("only SQLite is copied".to_owned()));
    }
    let path = file.display().to_string();
    statement::change(store.writer(), "VACUUM INTO $1", vec![path.into()]).await?;
    let copy = Store::connect(&format!("sqlite://{}", file.display())).await?;
    let checked = check(&copy).await;
    copy.close().await?;
    checked
}

/// Reads all of a SQLite database.
///
/// # Errors
/// When something of it is damaged.
pub async fn check(store: &Store) -> Result<(), StoreError> {
    let row = statement::first(store.reader(), "PRAGMA integrity_check(1)", vec![]).await?;
    let found: Option<String> = row
        .map(|row| statement::column(&row, "integrity_check"))
        .transpose()?;
    match found.as_deref() {
        Some("ok") => Ok(()),
        found => Err(StoreError::Damaged(found.unwrap_or("no answer").to_owned())),
    }
}
