//! One page of a list that is ordered by id.

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPage {
    /// Rows at the most.
    pub limit: u64,
    /// The last id of the page before.
    pub after: Option<String>,
    /// Newest first: ids grow with time.
    pub newest_first: bool,
}

impl IdPage {
    /// The comparison with the last id of the page before, and the order's direction, as SQL.
    pub(crate) fn direction(&self) -> (&'static str, &'static str) {
        if self.newest_first {
            ("<", "DESC")
        } else {
            (">", "ASC")
        }
    }

    /// The id that every row of a first page compares to as wanted: ids are ASCII.
    pub(crate) fn bound(&self) -> String {
        match &self.after {
            Some(id) => id.clone(),
            None if self.newest_first => "~".to_owned(),
            None => String::new(),
        }
    }

    /// The limit as a column's type.
    pub(crate) fn limit(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX)
    }
}
