//! Reading the rows of other databases, for syncs: in the order of their keys' bytes, in a transaction that only
//! reads, as JSON that the database itself renders, so that numbers stay as they are.
//!
//! Which address is connected to, and which file is opened, was checked by whoever gives a [`ForeignTarget`]; that it
//! is not the product's own database is checked here. Nothing here knows syncs.

mod mysql;
mod own;
mod postgres;
mod sqlite;
mod sqlite_path;
mod statement;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use hookrail_domain::{
    connection::database_url::Server,
    json::{Json, Members},
    sync::SyncOrigin,
};
use sea_orm::sqlx;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::Store;

pub use sqlite_path::{SqlitePathError, checked_path};

/// How long one statement may take, the reading of its rows included: then it goes on with another one behind the
/// last row.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a row, at the most.
pub const MAX_ROW_BYTES: usize = 1024 * 1024;
/// Bytes of a row's key, at the most: what an index of any database takes.
pub const MAX_KEY_BYTES: usize = 1024;
/// Rows that are handed on together, and their bytes, roughly.
const PIECE_ROWS: usize = 128;
const PIECE_BYTES: usize = 256 * 1024;
/// Pieces that wait to be taken.
const PIECES_AHEAD: usize = 4;
/// What is between the parts of a composite key: no text has it in practice, and two keys that it makes the same are
/// refused as any two of the same key.
const KEY_SEPARATOR: u32 = 1;

/// What is connected to.
#[derive(Debug, Clone)]
pub enum ForeignTarget {
    /// A PostgreSQL server, at one of these addresses.
    Postgres(Server, Vec<IpAddr>),
    /// A MySQL or MariaDB server, at one of these addresses.
    Mysql(Server, Vec<IpAddr>),
    /// A SQLite file.
    Sqlite(PathBuf),
}

/// A row as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignRow {
    /// The text of its key, by whose bytes rows are in order.
    pub key: String,
    /// Its columns in their order, or why they can't be read.
    pub row: Result<Json, String>,
}

/// Why rows can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// The server can't be reached, or went away.
    #[error("the database can't be reached: {0}")]
    Away(String),
    /// It took too long.
    #[error("the statement took longer than {limit} s", limit = STATEMENT_TIMEOUT.as_secs())]
    TimedOut,
    /// It is the product's own database, or may be.
    #[error("{0}")]
    Own(String),
    /// The database refuses the statement.
    #[error("the database refuses: {0}")]
    Refused(String),
    /// A row's key is null.
    #[error("a part of the primary key is null in at least one row")]
    NullKey,
    /// A row's key is too long.
    #[error("a primary key has more than {MAX_KEY_BYTES} bytes")]
    LongKey,
    /// The statement gives two columns of one name.
    #[error("two columns are called {0}")]
    SameColumns(String),
    /// The statement does not give a column.
    #[error("there is no column {0}, which the primary key names")]
    NoColumn(String),
}

impl ForeignError {
    /// Whether it may work if it is tried again.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Away(_))
    }
}

impl From<sqlx::Error> for ForeignError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(refusal) => match refusal.code().as_deref() {
                // PostgreSQL's query_canceled, MySQL's and MariaDB's time-outs, SQLite's interruption.
                Some("57014" | "3024" | "1969" | "70100" | "9") => Self::TimedOut,
                _ => Self::Refused(refusal.message().to_owned()),
            },
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => {
                Self::Away(error.to_string())
            }
            _ => Self::Refused(error.to_string()),
        }
    }
}

enum Piece {
    Rows(Vec<ForeignRow>),
    End,
}

/// Rows that are being read. Dropped, the reading ends.
pub struct ForeignRows {
    pieces: mpsc::Receiver<Result<Piece, ForeignError>>,
    _reading: AbortOnDropHandle<()>,
}

impl ForeignRows {
    /// Begins to read the rows of `origin` whose keys are behind `after`.
    pub fn read(own: &Store, target: ForeignTarget, origin: SyncOrigin, after: Option<String>) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        let reading = Reading {
            own: own.clone(),
            origin,
            after,
            pieces: Pieces {
                sender,
                rows: Vec::new(),
                bytes: 0,
            },
        };
        Self {
            pieces,
            _reading: AbortOnDropHandle::new(tokio::spawn(reading.run(target))),
        }
    }

    /// The next rows; `None` = there are no more.
    ///
    /// # Errors
    /// When they can't be read; nothing comes after that.
    pub async fn next(&mut self) -> Result<Option<Vec<ForeignRow>>, ForeignError> {
        match self.pieces.recv().await {
            Some(Ok(Piece::Rows(rows))) => Ok(Some(rows)),
            Some(Ok(Piece::End)) => Ok(None),
            Some(Err(error)) => Err(error),
            None => Err(ForeignError::Away("the reading broke off".to_owned())),
        }
    }
}

/// A reading at work.
struct Reading {
    own: Store,
    origin: SyncOrigin,
    after: Option<String>,
    pieces: Pieces,
}

impl Reading {
    async fn run(mut self, target: ForeignTarget) {
        let read = async {
            match &target {
                ForeignTarget::Postgres(server, addresses) => self.postgres(server, addresses).await,
                ForeignTarget::Mysql(server, addresses) => self.mysql(server, addresses).await,
                ForeignTarget::Sqlite(path) => self.sqlite(path).await,
            }
        };
        let last = match tokio::time::timeout(STATEMENT_TIMEOUT + CONNECT_TIMEOUT, read).await {
            Ok(Ok(())) => Ok(Piece::End),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ForeignError::TimedOut),
        };
        // Nobody may wait for it any more.
        let _taken = self.pieces.flush().await && self.pieces.sender.send(last).await.is_ok();
    }
}

/// Rows on their way to who asked for them.
struct Pieces {
    sender: mpsc::Sender<Result<Piece, ForeignError>>,
    rows: Vec<ForeignRow>,
    bytes: usize,
}

impl Pieces {
    /// Hands a row on; `false` = nobody wants more.
    async fn push(
        &mut self,
        key: Option<String>,
        row: Option<String>,
        columns: &[String],
    ) -> Result<bool, ForeignError> {
        let key = key.ok_or(ForeignError::NullKey)?;
        if key.len() > MAX_KEY_BYTES || key.contains('\0') {
            return Err(ForeignError::LongKey);
        }
        let row = row.unwrap_or_default();
        self.bytes += row.len();
        let row = read_row(&row, columns);
        self.rows.push(ForeignRow { key, row });
        if self.rows.len() < PIECE_ROWS && self.bytes < PIECE_BYTES {
            return Ok(true);
        }
        Ok(self.flush().await)
    }

    async fn flush(&mut self) -> bool {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows);
        rows.is_empty() || self.sender.send(Ok(Piece::Rows(rows))).await.is_ok()
    }
}

/// The row with its members in the order of the columns: MySQL orders them in its own way.
fn read_row(text: &str, columns: &[String]) -> Result<Json, String> {
    if text.len() > MAX_ROW_BYTES {
        return Err(format!("the row has more than {MAX_ROW_BYTES} bytes"));
    }
    let row = Json::parse(text.as_bytes()).map_err(|error| format!("the row can't be read: {error}"))?;
    let Json::Object(mut members) = row else {
        return Err("the row is not an object".to_owned());
    };
    let mut ordered = Members::with_capacity(members.len());
    for column in columns {
        if let Some((name, value)) = members.swap_remove_entry(column) {
            ordered.insert(name, value);
        }
    }
    Ok(Json::Object(ordered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_its_columns_in_their_order() {
        let columns = ["b".to_owned(), "a".to_owned()];
        let row = read_row(r#"{"a": 1.10, "b": 9007199254740993}"#, &columns).unwrap();
        assert_eq!(row.to_compact_string(), r#"{"b":9007199254740993,"a":1.10}"#);
        assert!(read_row("[]", &columns).is_err() && read_row("{", &columns).is_err());
    }
}
