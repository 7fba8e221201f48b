//! What can go wrong with the store, and the one question that matters about it: is the data at
//! fault, or the database?

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// An operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no database that can be used.
    #[error("database URL: {0}")]
    Url(String),
    /// The database refused, or could not be reached.
    #[error("database: {0}")]
    Database(#[from] DbErr),
    /// A file of a database is not as it was written.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// A row holds what this version cannot read.
    #[error("the row {row} of {table} can't be read: {reason}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// The row's key.
        row: String,
        /// What was wrong.
        reason: String,
    },
}

/// SQLite's primary result codes for which the data is at fault (<https://www.sqlite.org/rescode.html>).
const SQLITE_TOOBIG: i64 = 18;
const SQLITE_CONSTRAINT: i64 = 19;
const SQLITE_MISMATCH: i64 = 20;

/// The file can't be opened or made.
const SQLITE_CANTOPEN: i64 = 14;

impl StoreError {
    /// Whether the data written is at fault: SQLSTATE classes 22 (data exception) and 23 (integrity
    /// constraint), SQLite's CONSTRAINT, MISMATCH and TOOBIG. Everything else (busy, locked, deadlock,
    /// disk full, read-only, connection …) may pass, so the same write is tried again.
    pub fn is_data_error(&self) -> bool {
        self.code().is_some_and(|(sqlite, code)| match sqlite {
            true => code
                .parse::<i64>()
                .is_ok_and(|code| matches!(code & 0xff, SQLITE_TOOBIG | SQLITE_CONSTRAINT | SQLITE_MISMATCH)),
            false => code.starts_with("22") || code.starts_with("23"),
        })
    }

    /// Whether a unique key, or the primary key, is taken already.
    pub fn is_unique_violation(&self) -> bool {
        match self {
            Self::Database(error) => {
                matches!(
                    error.sql_err(),
                    Some(sea_orm::SqlErr::UniqueConstraintViolation(_))
                )
            }
            _ => false,
        }
    }

    /// Whether the URL is at fault, so that trying again won't help: it can't be read, names a file that
    /// can't be opened, or a user or database that the server refuses (SQLSTATE class 28, 3D000).
    pub fn is_wrong_setting(&self) -> bool {
        if let Self::Database(DbErr::Conn(RuntimeErr::SqlxError(error))) = self
            && matches!(error.as_ref(), sqlx::Error::Configuration(_))
        {
            return true;
        }
        let wrong = |(sqlite, code): (bool, String)| match sqlite {
            true => code
                .parse::<i64>()
                .is_ok_and(|code| code & 0xff == SQLITE_CANTOPEN),
            false => code.starts_with("28") || code == "3D000",
        };
        matches!(self, Self::Url(_)) || self.code().is_some_and(wrong)
    }

    /// The database's code of the error, and whether it is SQLite's.
    fn code(&self) -> Option<(bool, String)> {
        let Self::Database(
            DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error))
            | DbErr::Conn(RuntimeErr::SqlxError(error)),
        ) = self
        else {
            return None;
        };
        let sqlx::Error::Database(error) = error.as_ref() else {
            return None;
        };
        let sqlite = error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some();
        Some((sqlite, error.code()?.into_owned()))
    }
}
