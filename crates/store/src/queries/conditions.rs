//! `WHERE` put together from the filters that are given, values always apart from the text.

use sea_orm::Value;

use crate::{IdPage, rows};

/// Conditions that all hold, and their values.
#[derive(Default)]
pub(crate) struct Conditions {
    clauses: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a clause; each `?` in it stands for the next of `values`.
    pub(crate) fn add(&mut self, clause: &str, values: impl IntoIterator<Item = Value>) {
        let numbered = self.numbered(clause, values);
        self.clauses.push(numbered);
    }

    /// A clause for another part of the statement; each `?` in it stands for the next of `values`.
    pub(crate) fn numbered(&mut self, clause: &str, values: impl IntoIterator<Item = Value>) -> String {
        let mut numbered = String::with_capacity(clause.len() + 8);
        let mut values = values.into_iter();
        for part in clause.split_inclusive('?') {
            let Some(before) = part.strip_suffix('?') else {
                numbered.push_str(part);
                continue;
            };
            let value = values.next().expect("a clause has a value for each place");
            numbered.push_str(before);
            numbered.push_str(&self.place(value));
        }
        numbered
    }

    /// Adds `column = value` where there is a value.
    pub(crate) fn equal(&mut self, column: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(&format!("{column} = ?"), [rows::text(value)]);
        }
    }

    /// Adds the limits of a span of ids.
    pub(super) fn within(&mut self, (first, end): (Option<String>, Option<String>)) {
        if let Some(first) = first {
            self.add("id >= ?", [first.into()]);
        }
        if let Some(end) = end {
            self.add("id < ?", [end.into()]);
        }
    }

    /// The query of one page by id, and its values.
    pub(super) fn page(mut self, columns: &str, table: &str, page: &IdPage) -> (String, Vec<Value>) {
        let (comparison, direction) = page.direction();
        self.add(&format!("id {comparison} ?"), [page.bound().into()]);
        let limit = self.place(page.limit().into());
        let conditions = self.clauses.join(" AND ");
        let sql =
            format!("SELECT {columns} FROM {table} WHERE {conditions} ORDER BY id {direction} LIMIT {limit}");
        (sql, self.values)
    }

    /// The conditions as text, then whatever is added with [`Conditions::place`], and the values.
    pub(crate) fn text(&self) -> String {
        self.clauses.join(" AND ")
    }

    /// Adds a value; gives the text that stands for it.
    pub(crate) fn place(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    pub(crate) fn into_values(self) -> Vec<Value> {
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbered_through() {
        let mut conditions = Conditions::default();
        conditions.equal("workspace", Some("w"));
        conditions.equal("source", None);
        conditions.add("(a = ? OR b = ?)", [1.into(), 2.into()]);
        let page = IdPage {
            limit: 10,
            after: None,
            newest_first: true,
        };
        let (sql, values) = conditions.page("id", "events", &page);
        let wanted = "SELECT id FROM events WHERE workspace = $1 AND (a = $2 OR b = $3) AND id < $4 \
                      ORDER BY id DESC LIMIT $5";
        assert_eq!((sql.as_str(), values.len()), (wanted, 5));
    }
}
