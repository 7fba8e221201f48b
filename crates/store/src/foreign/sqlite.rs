//! Rows of a SQLite file, opened for reading only.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use hookrail_domain::sync::sql_text::Dialect;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sea_orm::sqlx::{self, AssertSqlSafe, Column, Connection, Executor, Row, SqlSafeStr, Statement};

use super::{ForeignError, Reading, STATEMENT_TIMEOUT, own, statement};

/// How long it waits for a lock of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Instructions between two looks at the clock.
const LOOK_EVERY: i32 = 10_000;

impl Reading {
    pub(super) async fn sqlite(&mut self, path: &Path) -> Result<(), ForeignError> {
        own::refuse_file(&self.own, path).await?;
        let mut connection = connect(path).await?;
        connection.execute("BEGIN").await?;
        let sql = AssertSqlSafe(statement::of_columns(Dialect::Sqlite, &self.origin));
        let prepared = (&mut connection).prepare(sql.into_sql_str()).await?;
        let columns: Vec<String> = prepared
            .columns()
            .iter()
            .map(|column| column.name().to_owned())
            .collect();
        statement::check_columns(&columns, &self.origin)?;
        let sql = statement::of_rows(Dialect::Sqlite, &self.origin, &columns, self.after.is_none());
        let mut query = sqlx::query(AssertSqlSafe(sql));
        if let Some(after) = self.after.clone() {
            query = query.bind(after);
        }
        let mut rows = query.fetch(&mut connection);
        while let Some(row) = rows.try_next().await? {
            let (key, text) = (row.try_get(0)?, row.try_get(1)?);
            if !self.pieces.push(key, text, &columns).await? {
                break;
            }
        }
        Ok(())
    }
}

async fn connect(path: &Path) -> Result<SqliteConnection, ForeignError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("query_only", "ON")
        .pragma("trusted_schema", "OFF");
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let end = Instant::now() + STATEMENT_TIMEOUT;
    let mut handle = connection.lock_handle().await?;
    handle.set_progress_handler(LOOK_EVERY, move || Instant::now() < end);
    drop(handle);
    Ok(connection)
}
