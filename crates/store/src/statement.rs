//! Statements with `$1`, `$2`, … that both databases read.
//!
//! For tables whose queries are the same under several names, or are plainer as SQL than built.

use std::borrow::Cow;

use sea_orm::{
    ConnectionTrait, DbBackend, ExecResult, FromQueryResult, QueryResult, Statement, TryGetable, Value,
};

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

/// All rows of a query, read.
pub(crate) async fn rows<R: FromQueryResult, C: ConnectionTrait>(
    connection: &C,
    sql: &str,
    values: Vec<Value>,
) -> Result<Vec<R>, StoreError> {
    let found = all(connection, sql, values).await?;
    found
        .iter()
        .map(|row| Ok(R::from_query_result(row, "")?))
        .collect()
}

/// The first row of a query, read.
pub(crate) async fn row<R: FromQueryResult, C: ConnectionTrait>(
    connection: &C,
    sql: &str,
    values: Vec<Value>,
) -> Result<Option<R>, StoreError> {
    let found = first(connection, sql, values).await?;
    Ok(found.map(|row| R::from_query_result(&row, "")).transpose()?)
}

/// A column of a row.
pub(crate) fn column<T: TryGetable>(row: &QueryResult, name: &str) -> Result<T, StoreError> {
    Ok(row.try_get("", name)?)
}

fn prepared<C: ConnectionTrait>(connection: &C, sql: &str, values: Vec<Value>) -> Statement {
    let backend = connection.get_database_backend();
    let sql = match backend {
        DbBackend::Sqlite => unnamed(sql, values.len()),
        _ => sql.into(),
    };
    Statement::from_sql_and_values(backend, sql, values)
}

/// The same statement with `?` for `$1`, `$2`, …, where each is there once and in order. To SQLite `$1` is a
/// name: it looks for it among all the names before, at parsing and at binding, which for thousands of
/// values takes longer than writing them.
fn unnamed(sql: &str, values: usize) -> Cow<'_, str> {
    let mut written = String::with_capacity(sql.len());
    let mut parts = sql.split('$');
    written.push_str(parts.next().unwrap_or_default());
    let mut seen = 0;
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        seen += 1;
        if number.parse() != Ok(seen) {
            return sql.into();
        }
        written.push('?');
        written.push_str(rest);
    }
    if seen == values {
        written.into()
    } else {
        sql.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, values: usize, expected: &str) {
        assert_eq!(unnamed(sql, values), expected);
    }

    #[test]
    fn values_in_order_need_no_names() {
        check("SELECT 1", 0, "SELECT 1");
        check(
            "INSERT INTO t VALUES ($1, $2), ($3, $4)",
            4,
            "INSERT INTO t VALUES (?, ?), (?, ?)",
        );
        for (other, values) in [
            ("SELECT $2, $1", 2),
            ("SELECT $1, $1", 1),
            ("SELECT $1 || '$'", 1),
            ("SELECT $1", 2),
        ] {
            check(other, values, other);
        }
    }
}
