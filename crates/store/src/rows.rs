//! Many rows in one statement, in SQL that both databases read.

use std::borrow::Cow;

use sea_orm::{ConnectionTrait, QueryResult, Value};

use crate::{StoreError, statement};

/// Most values of one statement: SQLite takes 32,766, PostgreSQL 65,535.
const MAX_VALUES: usize = 30_000;

/// Bytes of one place in a statement's text, such as `, $4352`.
const PLACE_BYTES: usize = 8;

/// Text as a value. PostgreSQL refuses NUL in text, so it is written as JSON would escape it.
pub(crate) fn text(text: impl AsRef<str>) -> Value {
    escaped(text.as_ref()).into_owned().into()
}

/// Text or null.
pub(crate) fn text_or_null(optional: Option<impl AsRef<str>>) -> Value {
    optional.map_or(Value::String(None), text)
}

/// What [`text`] writes, for comparing with what is stored.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\\u0000").into()
    } else {
        text.into()
    }
}

/// An id as text.
pub(crate) fn id(id: impl std::fmt::Display) -> Value {
    id.to_string().into()
}

/// An id as text, or null.
pub(crate) fn id_or_null(optional: Option<impl std::fmt::Display>) -> Value {
    optional.map_or(Value::String(None), id)
}

/// A number that fits a BIGINT, as all that are counted here do.
pub(crate) fn number(number: impl TryInto<i64>) -> Value {
    number.try_into().unwrap_or(i64::MAX).into()
}

/// `$first, …` for `count` values.
pub(crate) fn places(first: usize, count: usize) -> String {
    let places: Vec<String> = (first..first + count).map(|place| format!("${place}")).collect();
    places.join(", ")
}

/// `INSERT INTO {head} VALUES (…), (…) {tail}` for all rows, in as few statements as they fit into.
/// Gives the number of rows written.
pub(crate) async fn insert<C: ConnectionTrait>(
    connection: &C,
    head: &str,
    rows: Vec<Vec<Value>>,
    tail: &str,
) -> Result<u64, StoreError> {
    let mut written = 0;
    for (tuples, values) in chunks(rows) {
        let sql = format!("INSERT INTO {head} VALUES {tuples} {tail}");
        written += statement::change(connection, &sql, values).await?;
    }
    Ok(written)
}

/// As [`insert`], where `tail` ends with `RETURNING …`: gives what the statements return.
pub(crate) async fn insert_returning<C: ConnectionTrait>(
    connection: &C,
    head: &str,
    rows: Vec<Vec<Value>>,
    tail: &str,
) -> Result<Vec<QueryResult>, StoreError> {
    let mut returned = Vec::with_capacity(rows.len());
    for (tuples, values) in chunks(rows) {
        let sql = format!("INSERT INTO {head} VALUES {tuples} {tail}");
        returned.extend(statement::all(connection, &sql, values).await?);
    }
    Ok(returned)
}

/// `FROM` and `WHERE` of the rows of `table` whose `columns` have the values of one of `tuples`. SQLite
/// reads all of a table for `(a, b) IN (VALUES …)`; in a join it looks each of them up in the index.
pub(crate) fn joined(table: &str, columns: &[&str], tuples: &str) -> String {
    let is_one = |(at, column): (usize, &&str)| format!("{column} = column{}", at + 1);
    let conditions: Vec<String> = columns.iter().enumerate().map(is_one).collect();
    format!(
        "FROM (VALUES {tuples}) AS wanted CROSS JOIN {table} WHERE {}",
        conditions.join(" AND ")
    )
}

/// The same as a condition, for statements that change rows.
pub(crate) fn among(table: &str, columns: &[&str], tuples: &str) -> String {
    let names = columns.join(", ");
    format!("({names}) IN (SELECT {names} {})", joined(table, columns, tuples))
}

/// The rows in chunks that fit into one statement: `($1, $2), ($3, $4)` and the values. The sizes of
/// chunks are powers of two, so that there are few texts of statements, each prepared once.
pub(crate) fn chunks(rows: Vec<Vec<Value>>) -> Vec<(String, Vec<Value>)> {
    let width = rows.first().map_or(1, Vec::len).max(1);
    let mut chunks = Vec::new();
    let mut left = rows.len();
    let mut rows = rows.into_iter();
    while left > 0 {
        let count = power_of_two_within(left.min(MAX_VALUES / width));
        left -= count;
        let values = rows.by_ref().take(count).flatten().collect();
        chunks.push((tuples(count, width), values));
    }
    chunks
}

/// Rows that are looked for, in chunks as those of [`chunks`]; the last one is filled up with its last
/// row, which finds nothing more.
pub(crate) fn lookups(mut rows: Vec<Vec<Value>>) -> Vec<(String, Vec<Value>)> {
    let width = rows.first().map_or(1, Vec::len).max(1);
    let largest = power_of_two_within(MAX_VALUES / width);
    let rest = rows.len() % largest;
    if let (1.., Some(last)) = (rest, rows.last().cloned()) {
        let missing = rest.next_power_of_two() - rest;
        rows.extend(std::iter::repeat_n(last, missing));
    }
    chunks(rows)
}

/// The largest power of two that is not more than `limit`; at least 1.
fn power_of_two_within(limit: usize) -> usize {
    1 << limit.max(1).ilog2()
}

fn tuples(rows: usize, width: usize) -> String {
    let mut text = String::with_capacity(rows * width * PLACE_BYTES);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=width {
            let separator = if column == 1 { "$" } else { ", $" };
            text.push_str(separator);
            text.push_str(&(row * width + column).to_string());
        }
        text.push(')');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_numbered_through() {
        assert_eq!(tuples(2, 3), "($1, $2, $3), ($4, $5, $6)");
    }

    #[test]
    fn more_values_than_a_statement_takes_are_several_statements() {
        let rows = (0..MAX_VALUES)
            .map(|n| vec![number(n as u64), number(n as u64)])
            .collect();
        let counts = [8192, 8192, 8192, 4096, 1024, 256, 32, 16];
        assert_eq!(sizes(chunks(rows)), counts.map(|rows| 2 * rows));
    }

    fn sizes(chunks: Vec<(String, Vec<Value>)>) -> Vec<usize> {
        chunks.iter().map(|(_, values)| values.len()).collect()
    }

    #[test]
    fn statements_have_few_texts() {
        let rows = |count: u64| (0..count).map(|n| vec![number(n)]).collect::<Vec<_>>();
        for (count, written, looked_up) in [
            (1, vec![1], vec![1]),
            (3, vec![2, 1], vec![4]),
            (256, vec![256], vec![256]),
            (300, vec![256, 32, 8, 4], vec![512]),
            (20_000, vec![16_384, 2048, 1024, 512, 32], vec![16_384, 4096]),
        ] {
            assert_eq!(sizes(chunks(rows(count))), written, "{count}");
            assert_eq!(sizes(lookups(rows(count))), looked_up, "{count}");
        }
        assert!(lookups(Vec::new()).is_empty());
        let (_, values) = lookups(rows(3)).remove(0);
        assert_eq!(values, [0_u64, 1, 2, 2].map(number));
    }

    #[test]
    fn nul_is_escaped() {
        assert_eq!(escaped("a\0b"), "a\\u0000b");
    }
}
