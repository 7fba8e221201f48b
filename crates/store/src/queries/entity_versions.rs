//! The versions of one entity, the newest first.

use sea_orm::ConnectionTrait;

use super::conditions::Conditions;
use super::entities::key;
use crate::entity_versions::{COLUMNS, VersionRow};
use crate::{StoreError, rows, statement};

/// Where a version stands in the list: number, partition, sequence.
pub type VersionPlace = (i64, i64, i64);

/// Which part of the list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionPage {
    /// Rows at the most.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<VersionPlace>,
    /// Newest first.
    pub newest_first: bool,
}

/// One page of an entity's versions that are kept.
///
/// # Errors
/// When the database cannot be used now.
pub async fn list<C: ConnectionTrait>(
    connection: &C,
    (workspace, entity_type, unique_id): (&str, &str, &str),
    page: &VersionPage,
) -> Result<Vec<VersionRow>, StoreError> {
    let (comparison, direction) = match page.newest_first {
        true => ("<", "DESC"),
        false => (">", "ASC"),
    };
    let mut conditions = Conditions::default();
    conditions.add(
        "workspace = ? AND entity_type = ? AND unique_id = ?",
        key(workspace, entity_type, unique_id),
    );
    if let Some((number, partition, sequence)) = page.after {
        conditions.add(
            &format!("(number, version_partition, version_sequence) {comparison} (?, ?, ?)"),
            [number.into(), partition.into(), sequence.into()],
        );
    }
    let limit = conditions.place(rows::number(page.limit));
    let sql = format!(
        "SELECT {COLUMNS} FROM entity_versions WHERE {} ORDER BY number {direction}, \
         version_partition {direction}, version_sequence {direction} LIMIT {limit}",
        conditions.text()
    );
    statement::rows(connection, &sql, conditions.into_values()).await
}
