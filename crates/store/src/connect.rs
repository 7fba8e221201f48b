//! Connecting, for SQLite and PostgreSQL.
//!
//! SQLite has one writer at a time, so the store has exactly one writing connection, and readers
//! beside it that never wait for it (WAL). It is for one process. PostgreSQL has one pool for both.

use std::time::Duration;

use sea_orm::sqlx::Executor;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbBackend};

use crate::{StoreError, WriteTransaction, migrations};

/// Connections that read from SQLite.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL, for reading and writing.
const POSTGRES_CONNECTIONS: u32 = 16;
/// How long SQLite waits for a lock that another process holds.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a transaction waits for a free connection (on SQLite: for the others that write).
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);
/// Statements that each connection keeps prepared: those of all tables, each in its sizes.
const PREPARED_STATEMENTS: usize = 512;
/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The store. A cheap clone: all clones share the connections.
#[derive(Clone, Debug)]
pub struct Store {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
}

impl Store {
    /// Connects to `sqlite://path?mode=rwc` or `postgres://…`.
    ///
    /// SQLite is used with `synchronous = FULL`: each commit is on disk before it returns. Events are
    /// acknowledged in the broker after the commit only, so with `NORMAL` a power cut could lose
    /// what the broker has already let go; the safe one is the default and there is no other.
    ///
    /// # Errors
    /// A URL of another kind, or a database that cannot be reached.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let pool = Database::connect(postgres(url)).await?;
            return Ok(Self {
                reader: pool.clone(),
                writer: pool,
            });
        }
        if !url.starts_with("sqlite:") {
            return Err(StoreError::Url("expected sqlite://… or postgres://…".to_owned()));
        }
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(StoreError::Url(
                "a SQLite database in memory would not survive; name a file".to_owned(),
            ));
        }
        // The writer first: it creates the file and turns WAL on.
        let writer = Database::connect(sqlite(url, 1, false)).await?;
        let reader = Database::connect(sqlite(url, SQLITE_READERS, true)).await?;
        Ok(Self { reader, writer })
    }

    /// Creates the tables that are missing. Safe when several processes start at once.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrations::run(self).await
    }

    /// For reading. It sees what is committed.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// For what can't be part of a transaction.
    pub(crate) fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// Begins a write transaction; on SQLite it waits for the one before it.
    ///
    /// # Errors
    /// When the database cannot be reached, or is busy for too long.
    pub async fn write(&self) -> Result<WriteTransaction, StoreError> {
        WriteTransaction::begin(&self.writer).await
    }

    /// Which database it is.
    pub fn backend(&self) -> DbBackend {
        self.writer.get_database_backend()
    }

    /// Whether the database answers now.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.reader.ping().await?)
    }

    /// Closes the connections, waiting for those in use.
    ///
    /// # Errors
    /// When the database went away before.
    pub async fn close(self) -> Result<(), StoreError> {
        self.reader.close_by_ref().await?;
        Ok(self.writer.close_by_ref().await?)
    }
}

fn postgres(url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(|options| options.statement_cache_capacity(PREPARED_STATEMENTS))
        .map_sqlx_postgres_pool_opts(|options| {
            // A plan that was made while a table was small would go on reading the whole of it.
            options.after_connect(|connection, _| {
                Box::pin(async {
                    connection
                        .execute("SET plan_cache_mode = force_custom_plan")
                        .await
                        .map(drop)
                })
            })
        })
        .set_application_name("hookrail");
    options
}

fn sqlite(url: &str, connections: u32, query_only: bool) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        // There is no network that a connection could have been lost by.
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| {
            let options = options
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .statement_cache_capacity(PREPARED_STATEMENTS)
                .busy_timeout(SQLITE_BUSY_TIMEOUT);
            if query_only {
                options.pragma("query_only", "ON")
            } else {
                options
            }
        });
    options
}
