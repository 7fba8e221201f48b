//! Where a sealed value belongs. It is part of what is authenticated, so a value that is moved elsewhere
//! can't be opened there.

/// A table, a row and a field; for what lies on the broker, a bucket, a key and a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The row.
    pub row: &'a str,
    /// The field.
    pub field: &'a str,
}

impl<'a> Place<'a> {
    /// The place of a definition's secret, in the database and in what is published alike: a secret's id
    /// is its own wherever it lies.
    pub fn of_secret(id: &'a str) -> Self {
        Self {
            table: "secrets",
            row: id,
            field: "value",
        }
    }

    /// The associated data of the cipher. None of the parts holds NUL.
    pub(crate) fn associated(&self) -> Vec<u8> {
        [self.table, self.row, self.field].join("\0").into_bytes()
    }
}
