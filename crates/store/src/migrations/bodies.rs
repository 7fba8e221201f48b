//! What bodies have beside their bytes, and imports.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

/// The steps, in order.
pub(super) fn steps() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(KeepBodyHeaders), Box::new(CreateImports)]
}

/// Adds the headers that belong to the body of a dead letter.
struct KeepBodyHeaders;

impl MigrationName for KeepBodyHeaders {
    fn name(&self) -> &'static str {
        "0007_dead_letter_headers"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for KeepBodyHeaders {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, &["ALTER TABLE dead_letters ADD COLUMN headers TEXT"]).await
    }
}

/// Adds imports, with their lines.
struct CreateImports;

impl MigrationName for CreateImports {
    fn name(&self) -> &'static str {
        "0007_imports"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateImports {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, &IMPORTING).await
    }
}

/// What importing writes.
const IMPORTING: [&str; 5] = [
    "CREATE TABLE imports (
        id {key} PRIMARY KEY, workspace {key} NOT NULL, source {key} NOT NULL, status {key} NOT NULL,
        revision BIGINT NOT NULL, shard BIGINT NOT NULL, epoch BIGINT NOT NULL, stalls BIGINT NOT NULL,
        bytes BIGINT NOT NULL, lines BIGINT NOT NULL, lines_read BIGINT NOT NULL,
        accepted BIGINT NOT NULL, failed BIGINT NOT NULL, waits_for TEXT, error TEXT,
        touched_at BIGINT NOT NULL, created_at BIGINT NOT NULL, started_at BIGINT, finished_at BIGINT,
        swept BIGINT NOT NULL)",
    "CREATE INDEX imports_by_workspace ON imports (workspace, id)",
    "CREATE INDEX imports_by_shard ON imports (shard, swept, id)",
    "CREATE TABLE import_chunks (
        import {key} NOT NULL, first_line BIGINT NOT NULL, lines BIGINT NOT NULL, body {bytes} NOT NULL,
        PRIMARY KEY (import, first_line))",
    "CREATE TABLE import_failures (
        import {key} NOT NULL, line BIGINT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
        PRIMARY KEY (import, line))",
];
