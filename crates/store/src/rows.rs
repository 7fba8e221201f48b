//! Many rows in one statement, in SQL that both databases read.

use std::borrow::Cow;

use sea_orm::{ConnectionTrait, Value};

use crate::{StoreError, statement};

/// Most values of one statement: SQLite takes 32,766, PostgreSQL 65,535.
const MAX_VALUES: usize = 30_000;

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

/// The rows in chunks that fit into one statement: `($1, $2), ($3, $4)` and the values.
pub(crate) fn chunks(rows: Vec<Vec<Value>>) -> Vec<(String, Vec<Value>)> {
    let width = rows.first().map_or(1, Vec::len).max(1);
    let mut chunks = Vec::new();
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let chunk: Vec<_> = rows.by_ref().take(MAX_VALUES / width).collect();
        let tuples = tuples(chunk.len(), width);
        chunks.push((tuples, chunk.into_iter().flatten().collect()));
    }
    chunks
}

fn tuples(rows: usize, width: usize) -> String {
    let tuple = |row: usize| {
        let places: Vec<String> = (1..=width)
            .map(|column| format!("${}", row * width + column))
            .collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(tuple).collect::<Vec<_>>().join(", ")
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
        let sizes: Vec<usize> = chunks(rows).iter().map(|(_, values)| values.len()).collect();
        assert_eq!(sizes, [MAX_VALUES, MAX_VALUES]);
    }

    #[test]
    fn nul_is_escaped() {
        assert_eq!(escaped("a\0b"), "a\\u0000b");
    }
}
