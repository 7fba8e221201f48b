//! The audit log: who changed what, from where, and what it was before and after. Written in the
//! transaction of the change; never changed, only trimmed by age.

use hookrail_domain::Millis;
use sea_orm::{ConnectionTrait, QueryResult, Value};

use crate::StoreError;
use crate::keyset::IdPage;
use crate::statement::{all, change, column};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its id, which grows with time.
    pub id: String,
    /// The workspace that it is about; `None` = the installation.
    pub workspace_id: Option<String>,
    /// When.
    pub at: Millis,
    /// The token's id, `root` for the setting's token, `hookrail` for what it does by itself.
    pub actor_id: String,
    /// What the token was called.
    pub actor_label: String,
    /// The client's address.
    pub address: Option<String>,
    /// What was done: `created`, `updated`, `deleted`, or a command.
    pub action: String,
    /// What it was done to: `source`, `token`, `delivery`, …
    pub kind: String,
    /// Its id.
    pub subject_id: String,
    /// Its name, where it has one.
    pub subject_name: Option<String>,
    /// What it was, JSON without secrets.
    pub before: Option<String>,
    /// What it is, JSON without secrets.
    pub after: Option<String>,
}

/// Which entries are meant; `None` = any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this workspace only.
    pub workspace_id: Option<String>,
    /// By the token with this id.
    pub actor_id: Option<String>,
    /// About things of this kind, or about the thing with this id.
    pub what: Option<String>,
    /// Not before.
    pub since: Option<Millis>,
    /// Before.
    pub until: Option<Millis>,
}

const COLUMNS: &str = "id, workspace_id, at, actor_id, actor_label, address, action, kind, subject_id, \
                       subject_name, state_before, state_after";

/// Adds an entry.
///
/// # Errors
/// When the database refuses.
pub async fn insert<C: ConnectionTrait>(connection: &C, row: AuditRow) -> Result<(), StoreError> {
    let sql =
        format!("INSERT INTO audit ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)");
    let values = vec![
        row.id.into(),
        row.workspace_id.into(),
        row.at.into(),
        row.actor_id.into(),
        row.actor_label.into(),
        row.address.into(),
        row.action.into(),
        row.kind.into(),
        row.subject_id.into(),
        row.subject_name.into(),
        row.before.into(),
        row.after.into(),
    ];
    change(connection, &sql, values).await?;
    Ok(())
}

/// A page of the entries that a filter means.
///
/// # Errors
/// When the database can't be read.
pub async fn list<C: ConnectionTrait>(
    connection: &C,
    filter: &AuditFilter,
    page: &IdPage,
) -> Result<Vec<AuditRow>, StoreError> {
    let (comparison, direction) = page.direction();
    let mut conditions = vec![format!("id {comparison} $1")];
    let mut values: Vec<Value> = vec![page.bound().into()];
    let mut require = |condition: &str, value: Value| {
        values.push(value);
        conditions.push(condition.replace('?', &format!("${}", values.len())));
    };
    if let Some(workspace) = &filter.workspace_id {
        require("workspace_id = ?", workspace.as_str().into());
    }
    if let Some(actor) = &filter.actor_id {
        require("actor_id = ?", actor.as_str().into());
    }
    if let Some(what) = &filter.what {
        // An id has an underscore after its kind's prefix, and no kind begins as an id does.
        let column = if what.contains('_') && what.len() > MAX_KIND_BYTES {
            "subject_id = ?"
        } else {
            "kind = ?"
        };
        require(column, what.as_str().into());
    }
    if let Some(since) = filter.since {
        require("at >= ?", since.into());
    }
    if let Some(until) = filter.until {
        require("at < ?", until.into());
    }
    values.push(page.limit().into());
    let sql = format!(
        "SELECT {COLUMNS} FROM audit WHERE {} ORDER BY id {direction} LIMIT ${}",
        conditions.join(" AND "),
        values.len()
    );
    all(connection, &sql, values).await?.iter().map(read).collect()
}

/// Longest kind, bytes; an id is longer.
const MAX_KIND_BYTES: usize = 24;

/// Removes entries from before a time, the oldest first, at most `limit`; gives how many.
///
/// # Errors
/// When the database refuses.
pub async fn trim<C: ConnectionTrait>(connection: &C, before: Millis, limit: i64) -> Result<u64, StoreError> {
    let sql = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT $2)";
    change(connection, sql, vec![before.into(), limit.into()]).await
}

fn read(row: &QueryResult) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        id: column(row, "id")?,
        workspace_id: column(row, "workspace_id")?,
        at: column(row, "at")?,
        actor_id: column(row, "actor_id")?,
        actor_label: column(row, "actor_label")?,
        address: column(row, "address")?,
        action: column(row, "action")?,
        kind: column(row, "kind")?,
        subject_id: column(row, "subject_id")?,
        subject_name: column(row, "subject_name")?,
        before: column(row, "state_before")?,
        after: column(row, "state_after")?,
    })
}
