//! What bodies have beside their bytes, and imports.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

/// The steps, in order.
pub(super) fn steps() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(KeepBodyHeaders)]
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
