//! Event types of one's own.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

/// The steps, in order.
pub(super) fn steps() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(CreateEventTypes)]
}

struct CreateEventTypes;

impl MigrationName for CreateEventTypes {
    fn name(&self) -> &'static str {
        "0011_event_types"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateEventTypes {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, &[TABLE]).await
    }
}

/// Of the same shape as the other definitions.
const TABLE: &str = "CREATE TABLE event_types (id {key} PRIMARY KEY, workspace_id {key} NOT NULL REFERENCES workspaces (id), \
     name {key} NOT NULL, spec TEXT NOT NULL, token TEXT NOT NULL, old_names TEXT NOT NULL, \
     revision BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, \
     UNIQUE (workspace_id, name))";
