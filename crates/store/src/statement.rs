//! Statements with `$1`, `$2`, … that both databases read.
//!
//! For tables whose queries are the same under several names, or are plainer as SQL than built.

use sea_orm::{ConnectionTrait, ExecResult, QueryResult, Statement, TryGetable, Value};

use crate::StoreError;

/// Runs a statement; gives the number of rows that it changed.
pub(crate) async fn change<C: ConnectionTrait>(
    connection: &C,
    sql: &str,
    values: Vec<Value>,
) -> Result<u64, StoreError> {
    let result: ExecResult = connection.execute_raw(prepared(connection, sql, values)).await?;
    Ok(result.rows_affected())
}

/// All rows of a query.
pub(crate) async fn all<C: ConnectionTrait>(
    connection: &C,
    sql: &str,
    values: Vec<Value>,
) -> Result<Vec<QueryResult>, StoreError> {
    Ok(connection
        .query_all_raw(prepared(connection, sql, values))
        .await?)
}

/// The first row of a query.
pub(crate) async fn first<C: ConnectionTrait>(
    connection: &C,
    sql: &str,
    values: Vec<Value>,
) -> Result<Option<QueryResult>, StoreError> {
    Ok(connection
        .query_one_raw(prepared(connection, sql, values))
        .await?)
}

/// A column of a row.
pub(crate) fn column<T: TryGetable>(row: &QueryResult, name: &str) -> Result<T, StoreError> {
    Ok(row.try_get("", name)?)
}

fn prepared<C: ConnectionTrait>(connection: &C, sql: &str, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(connection.get_database_backend(), sql, values)
}
