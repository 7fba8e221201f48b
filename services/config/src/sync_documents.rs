//! What syncs, their runs and connections look like in the OpenAPI document. The types exist for the document only.

#![expect(
    dead_code,
    reason = "the fields of these types are read by the derive of their schema"
)]

use std::collections::BTreeMap;

use hookrail_domain::sync::SyncSpec;
use utoipa::ToSchema;

use crate::openapi::Stored;

/// An example of a sync.
pub(crate) fn sync_example() -> serde_json::Value {
    serde_json::json!({
        "name": "customers-to-crm", "from": {"entities": "customer", "primary_key": ["id"]},
        "destination": "dst_01J00000000000000000000000", "mode": "mirror",
        "mapping": {"customer_id": "$.id", "my_first_name": "$.first_name", "email": "$.email"},
        "schedule": "*/5 * * * *"
    })
}

/// An example of a connection.
pub(crate) fn connection_example() -> serde_json::Value {
    serde_json::json!({"name": "warehouse", "database_url": "postgres://reader:…@db.example.com/warehouse"})
}

/// A sync as it is read.
#[derive(ToSchema)]
pub(crate) struct SyncRead {
    #[serde(flatten)]
    spec: SyncSpec,
    #[serde(flatten)]
    stored: Stored,
    /// RFC 3339, UTC; null = by hand only. Not in lists.
    next_run_at: Option<String>,
    /// Times at which a run still read its rows, so that none was begun. Not in lists.
    skipped_runs: Option<u64>,
}

/// A page of syncs.
#[derive(ToSchema)]
pub(crate) struct SyncList {
    items: Vec<SyncRead>,
    next_cursor: Option<String>,
}

/// A connection as it is read: its URL is `{"id", "hint", "expires_at"}`.
#[derive(ToSchema)]
pub(crate) struct ConnectionRead {
    /// Unique in the workspace.
    name: String,
    /// For people and tools.
    labels: BTreeMap<String, String>,
    /// `id`, `hint` and `expires_at`.
    #[schema(value_type = Object)]
    database_url: (),
    #[serde(flatten)]
    stored: Stored,
}

/// A page of connections.
#[derive(ToSchema)]
pub(crate) struct ConnectionList {
    items: Vec<ConnectionRead>,
    next_cursor: Option<String>,
}

/// What a run did with the rows that it read.
#[derive(ToSchema)]
pub(crate) struct RunRows {
    /// Rows that were read.
    read: u64,
    /// Of these, those of which there was nothing to send.
    unchanged: u64,
    /// Those that were remembered and not sent (`update`, `delete`).
    learned: u64,
    /// Those whose last delivery is still on its way, rows that have gone included; the next run looks again.
    waiting: u64,
    /// Those that make no record.
    failed: u64,
}

/// How many records of an operation there are, by what became of them.
#[derive(ToSchema)]
pub(crate) struct RunCounts {
    planned: u64,
    delivered: u64,
    dead: u64,
    cancelled: u64,
    pending: u64,
}

/// A run of a sync.
#[derive(ToSchema)]
pub(crate) struct RunRead {
    id: String,
    workspace: String,
    sync: String,
    /// `schedule` or `request`.
    started_by: String,
    /// `queued`, `running` (rows are read), `delivering` (all are read), `done`, `cancelled` or `failed`.
    status: String,
    rows: RunRows,
    /// By the operation's word: `upsert`, `append`, `update`, `create`, `delete`.
    operations: BTreeMap<String, RunCounts>,
    /// Deliveries that have not ended.
    pending: u64,
    /// Why the first row that failed did.
    failure: Option<String>,
    /// `definitions`, `deliveries`, `room` or `connection`.
    waits_for: Option<String>,
    /// Why the run failed.
    error: Option<String>,
    /// RFC 3339, UTC.
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
}

/// A page of runs.
#[derive(ToSchema)]
pub(crate) struct RunList {
    items: Vec<RunRead>,
    next_cursor: Option<String>,
}
