//! The statements that read rows: the same shape for each database, each in its own words.

use hookrail_domain::sync::{
    SyncOrigin,
    sql_text::{Dialect, quoted, quoted_table, quoted_text},
};

use super::{ForeignError, KEY_SEPARATOR};

/// What rows are read from, as it stands behind FROM.
fn from(dialect: Dialect, origin: &SyncOrigin) -> String {
    match (&origin.table, &origin.query) {
        (Some(table), _) => format!("{} AS t", quoted_table(dialect, table)),
        // Behind a line feed no comment can hide the parenthesis.
        (None, query) => format!("({}\n) AS t", query.as_deref().unwrap_or_default()),
    }
}

/// The statement that has the columns and no rows.
pub(super) fn of_columns(dialect: Dialect, origin: &SyncOrigin) -> String {
    format!("SELECT * FROM {} LIMIT 0", from(dialect, origin))
}

/// Refuses columns of one name, and a primary key that is not among them.
pub(super) fn check_columns(columns: &[String], origin: &SyncOrigin) -> Result<(), ForeignError> {
    for (place, column) in columns.iter().enumerate() {
        if columns[..place].contains(column) {
            return Err(ForeignError::SameColumns(column.clone()));
        }
    }
    match origin.primary_key.iter().find(|column| !columns.contains(column)) {
        Some(column) => Err(ForeignError::NoColumn(column.clone())),
        None => Ok(()),
    }
}

/// The statement that reads rows, by their keys' bytes. It has one value, the key behind which it begins, where there
/// is one.
pub(super) fn of_rows(dialect: Dialect, origin: &SyncOrigin, columns: &[String], is_first: bool) -> String {
    let (key, row) = (key(dialect, &origin.primary_key), row(dialect, columns));
    let rows = format!(
        "SELECT {key} AS hookrail_key, {row} AS hookrail_row FROM {}",
        from(dialect, origin)
    );
    let (ordered, place) = match dialect {
        Dialect::Postgres => ("u.hookrail_key COLLATE \"C\"", "$1"),
        Dialect::Sqlite => ("u.hookrail_key COLLATE BINARY", "?"),
        Dialect::Mysql => ("CAST(u.hookrail_key AS BINARY)", "CAST(? AS BINARY)"),
    };
    let behind = match is_first {
        true => String::new(),
        false => format!(" WHERE {ordered} > {place}"),
    };
    // Null keys first, so that they are found at once.
    let nulls = match dialect {
        Dialect::Postgres => " NULLS FIRST",
        _ => "",
    };
    format!("SELECT u.hookrail_key, u.hookrail_row FROM ({rows}) AS u{behind} ORDER BY {ordered}{nulls}")
}

fn key(dialect: Dialect, columns: &[String]) -> String {
    let part = |column: &String| {
        let column = format!("t.{}", quoted(dialect, column));
        match dialect {
            Dialect::Postgres => format!("CAST({column} AS TEXT)"),
            Dialect::Sqlite => {
                format!(
                    "CASE typeof({column}) WHEN 'blob' THEN hex({column}) ELSE CAST({column} AS TEXT) END"
                )
            }
            Dialect::Mysql => format!("CAST({column} AS CHAR CHARACTER SET utf8mb4)"),
        }
    };
    let parts: Vec<String> = columns.iter().map(part).collect();
    match dialect {
        Dialect::Postgres => parts.join(&format!(" || chr({KEY_SEPARATOR}) || ")),
        Dialect::Sqlite => parts.join(&format!(" || char({KEY_SEPARATOR}) || ")),
        Dialect::Mysql => format!(
            "CONCAT({})",
            parts.join(&format!(", CHAR({KEY_SEPARATOR} USING utf8mb4), "))
        ),
    }
}

/// The whole row as JSON text.
fn row(dialect: Dialect, columns: &[String]) -> String {
    let name = |column: &String| quoted_text(dialect, column);
    let value = |column: &String| format!("t.{}", quoted(dialect, column));
    match dialect {
        Dialect::Postgres => "CAST(row_to_json(t) AS TEXT)".to_owned(),
        // By concatenation, since functions take 127 arguments at the most.
        Dialect::Sqlite => {
            let member = |column: &String| {
                let value = value(column);
                format!(
                    "json_quote({}) || ':' || json_quote(CASE typeof({value}) WHEN 'blob' THEN hex({value}) ELSE {value} END)",
                    name(column)
                )
            };
            let members: Vec<String> = columns.iter().map(member).collect();
            format!("'{{' || {} || '}}'", members.join(" || ',' || "))
        }
        Dialect::Mysql => {
            let member = |column: &String| format!("{}, {}", name(column), value(column));
            let members: Vec<String> = columns.iter().map(member).collect();
            format!(
                "CAST(JSON_OBJECT({}) AS CHAR CHARACTER SET utf8mb4)",
                members.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(key: &[&str]) -> SyncOrigin {
        SyncOrigin {
            table: Some("s.people".to_owned()),
            primary_key: key.iter().map(|column| (*column).to_owned()).collect(),
            ..SyncOrigin::default()
        }
    }

    #[test]
    fn rows_are_in_the_order_of_their_keys_bytes() {
        let sql = of_rows(Dialect::Postgres, &origin(&["a", "b"]), &["a".to_owned()], false);
        assert_eq!(
            sql,
            concat!(
                "SELECT u.hookrail_key, u.hookrail_row FROM (SELECT CAST(t.\"a\" AS TEXT) || chr(1) || ",
                "CAST(t.\"b\" AS TEXT) AS hookrail_key, CAST(row_to_json(t) AS TEXT) AS hookrail_row ",
                "FROM \"s\".\"people\" AS t) AS u WHERE u.hookrail_key COLLATE \"C\" > $1 ",
                "ORDER BY u.hookrail_key COLLATE \"C\" NULLS FIRST"
            )
        );
    }

    #[test]
    fn a_key_has_to_be_among_the_columns() {
        let columns = ["a".to_owned(), "b".to_owned()];
        assert!(check_columns(&columns, &origin(&["b"])).is_ok());
        assert!(matches!(
            check_columns(&columns, &origin(&["c"])),
            Err(ForeignError::NoColumn(_))
        ));
        let twice = ["a".to_owned(), "a".to_owned()];
        assert!(matches!(
            check_columns(&twice, &origin(&["a"])),
            Err(ForeignError::SameColumns(_))
        ));
    }
}
