//! The audit log, and when tokens end.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

/// The steps, in order.
pub(super) fn steps() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(KeepAudit)]
}

struct KeepAudit;

impl MigrationName for KeepAudit {
    fn name(&self) -> &'static str {
        "0010_audit"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for KeepAudit {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, &STATEMENTS).await
    }
}

const STATEMENTS: [&str; 6] = [
    // An entry without a workspace is about the installation.
    "CREATE TABLE audit (
        id {key} PRIMARY KEY, workspace_id {key}, at BIGINT NOT NULL,
        actor_id {key} NOT NULL, actor_label TEXT NOT NULL, address TEXT,
        action TEXT NOT NULL, kind {key} NOT NULL, subject_id {key} NOT NULL, subject_name TEXT,
        state_before TEXT, state_after TEXT)",
    "CREATE INDEX audit_by_workspace ON audit (workspace_id, id)",
    "CREATE INDEX audit_by_actor ON audit (actor_id, id)",
    "CREATE INDEX audit_by_subject ON audit (subject_id, id)",
    "CREATE INDEX audit_by_age ON audit (at)",
    "ALTER TABLE tokens ADD COLUMN expires_at BIGINT",
];
