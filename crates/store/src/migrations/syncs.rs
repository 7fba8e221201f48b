//! What syncs add: the tables of their definitions, their runs, what is known of their rows, and what is on its way.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

/// The steps, in order.
pub(super) fn steps() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(CreateSyncs)]
}

struct CreateSyncs;

impl MigrationName for CreateSyncs {
    fn name(&self) -> &'static str {
        "0009_syncs"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateSyncs {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, &DEFINITIONS).await?;
        super::execute(manager, &RUNNING).await
    }
}

const DEFINITIONS: [&str; 2] = [
    "CREATE TABLE connections (id {key} PRIMARY KEY, workspace_id {key} NOT NULL REFERENCES workspaces (id), \
     name {key} NOT NULL, spec TEXT NOT NULL, token TEXT NOT NULL, old_names TEXT NOT NULL, \
     revision BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, \
     UNIQUE (workspace_id, name))",
    "CREATE TABLE syncs (id {key} PRIMARY KEY, workspace_id {key} NOT NULL REFERENCES workspaces (id), \
     name {key} NOT NULL, spec TEXT NOT NULL, token TEXT NOT NULL, old_names TEXT NOT NULL, \
     revision BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, \
     UNIQUE (workspace_id, name))",
];

/// A sync has one open run at a time, which an index says, whoever opens one.
const RUNNING: [&str; 11] = [
    "CREATE TABLE sync_schedules (
        sync {key} PRIMARY KEY, workspace {key} NOT NULL, shard BIGINT NOT NULL, schedule TEXT NOT NULL,
        next_at BIGINT NOT NULL, skipped BIGINT NOT NULL)",
    "CREATE INDEX sync_schedules_due ON sync_schedules (shard, next_at)",
    "CREATE TABLE sync_runs (
        id {key} PRIMARY KEY, workspace {key} NOT NULL, sync {key} NOT NULL, started_by TEXT NOT NULL,
        definition TEXT NOT NULL, revision BIGINT NOT NULL, shard BIGINT NOT NULL, status {key} NOT NULL,
        epoch BIGINT NOT NULL, stalls BIGINT NOT NULL, last_key {key},
        rows_read BIGINT NOT NULL, unchanged BIGINT NOT NULL, learned BIGINT NOT NULL, waiting BIGINT NOT NULL,
        failed BIGINT NOT NULL, failure TEXT, pending BIGINT NOT NULL,
        writes BIGINT NOT NULL, writes_delivered BIGINT NOT NULL, writes_dead BIGINT NOT NULL,
        writes_cancelled BIGINT NOT NULL,
        deletes BIGINT NOT NULL, deletes_delivered BIGINT NOT NULL, deletes_dead BIGINT NOT NULL,
        deletes_cancelled BIGINT NOT NULL,
        waits_for TEXT, error TEXT, created_at BIGINT NOT NULL, started_at BIGINT, finished_at BIGINT)",
    "CREATE INDEX sync_runs_by_sync ON sync_runs (sync, id)",
    "CREATE INDEX sync_runs_by_shard ON sync_runs (shard, status, id)",
    "CREATE UNIQUE INDEX sync_runs_open ON sync_runs (sync) WHERE status IN ('queued', 'running')",
    "CREATE INDEX sync_runs_pending ON sync_runs (shard, id) WHERE pending > 0",
    "CREATE TABLE sync_rows (
        sync {key} NOT NULL, row_key {key} NOT NULL, key_json TEXT NOT NULL, hash {bytes} NOT NULL,
        status BIGINT NOT NULL, PRIMARY KEY (sync, row_key)) {keys_only}",
    "CREATE TABLE sync_sends (
        delivery {key} PRIMARY KEY, sync {key} NOT NULL, run {key} NOT NULL, number BIGINT NOT NULL,
        row_key {key} NOT NULL, operation BIGINT NOT NULL, lane_key TEXT NOT NULL, entity_version TEXT,
        body {bytes}, published BIGINT NOT NULL)",
    "CREATE INDEX sync_sends_by_run ON sync_sends (run, published, number)",
    "CREATE TABLE sync_leftovers (sync {key} PRIMARY KEY, shard BIGINT NOT NULL)",
];
