//! SQL that Hookrail puts around what an administrator wrote: names in quotes, and a query that is one SELECT,
//! so that it can stand in parentheses. What the query may see and do is the database user's rights; nothing here
//! reads SQL any deeper than that.

/// A database that rows are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
    /// MySQL and MariaDB.
    Mysql,
}

/// A name in quotes.
pub fn quoted(dialect: Dialect, name: &str) -> String {
    let quote = match dialect {
        Dialect::Mysql => '`',
        _ => '"',
    };
    let doubled: String = name
        .chars()
        .flat_map(|c| std::iter::repeat_n(c, if c == quote { 2 } else { 1 }))
        .collect();
    format!("{quote}{doubled}{quote}")
}

/// A table's name, each of its parts in quotes.
pub fn quoted_table(dialect: Dialect, table: &str) -> String {
    let parts: Vec<String> = table.split('.').map(|part| quoted(dialect, part)).collect();
    parts.join(".")
}

/// A text in quotes.
pub fn quoted_text(dialect: Dialect, text: &str) -> String {
    let escaped = match dialect {
        Dialect::Mysql => text.replace('\\', "\\\\"),
        _ => text.to_owned(),
    };
    format!("'{}'", escaped.replace('\'', "''"))
}

/// Refuses a query that could not stand in parentheses: one of several statements, or one that closes what it did
/// not open.
///
/// # Errors
/// What is wrong, for the person who wrote it.
pub fn check_query(query: &str) -> Result<(), &'static str> {
    let head: String = query.trim_start().chars().take(6).collect();
    let is_select = ["select", "with", "values", "table"]
        .iter()
        .any(|word| head.to_ascii_lowercase().starts_with(&word[..word.len().min(6)]));
    if !is_select {
        return Err("has to be a SELECT");
    }
    let mut depth = 0_usize;
    let mut rest = query.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\0' => return Err("holds NUL"),
            ';' => return Err("has to be one statement, without ; at its end"),
            '(' => depth += 1,
            ')' => {
                depth = depth
                    .checked_sub(1)
                    .ok_or("closes a parenthesis that it did not open")?
            }
            '\'' | '"' | '`' => skip_quoted(&mut rest, c)?,
            // What a comment hides differs between databases, and so would what is left of the statement.
            '-' if rest.peek() == Some(&'-') => return Err("must not have comments"),
            '/' if rest.peek() == Some(&'*') => return Err("must not have comments"),
            '#' => return Err("must not have #, which begins a comment in MySQL"),
            // `$tag$…$tag$` is a text to PostgreSQL alone; so is E'\'' with a backslash.
            '$' => return Err("must not have $ outside of quotes"),
            _ => {}
        }
    }
    match depth {
        0 => Ok(()),
        _ => Err("opens a parenthesis that it does not close"),
    }
}

fn skip_quoted(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, quote: char) -> Result<(), &'static str> {
    loop {
        match rest.next() {
            // A doubled quote ends one text and begins another, which comes to the same.
            Some(c) if c == quote => return Ok(()),
            Some('\\') => return Err("must not have \\ in a text: databases read it differently"),
            Some(_) => {}
            None => return Err("has a quote that does not end"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, is_taken: bool) {
        assert_eq!(
            check_query(query).is_ok(),
            is_taken,
            "{query}: {:?}",
            check_query(query)
        );
    }

    #[test]
    fn one_select_is_taken() {
        check("SELECT a, 'it''s; (' AS b FROM \"x;y\" WHERE (a - 1) > 2", true);
        check(" with t as (select 1) select * from t", true);
    }

    #[test]
    fn what_could_leave_its_parentheses_is_refused() {
        for query in [
            "DELETE FROM a",
            "ATTACH DATABASE 'x' AS y",
            "SELECT 1; SELECT 2",
            "SELECT 1) AS t; ATTACH DATABASE 'x' AS y; SELECT (1",
            "SELECT 1) UNION (SELECT 2",
            "SELECT (1",
            "SELECT 'a",
            "SELECT 'a\\' OR 1'",
            "SELECT 1 -- x",
            "SELECT 1 /* x",
            "SELECT 1 # x",
            "SELECT $a$;$a$",
            "",
        ] {
            check(query, false);
        }
    }

    #[test]
    fn names_are_quoted_as_their_database_wants() {
        assert_eq!(quoted(Dialect::Postgres, "a\"b`"), "\"a\"\"b`\"");
        assert_eq!(quoted_table(Dialect::Mysql, "s.a`b"), "`s`.`a``b`");
    }
}
