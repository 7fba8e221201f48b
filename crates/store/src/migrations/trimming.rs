//! What trimming by age needs to find what is old without looking through all.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

/// The steps, in order.
pub(super) fn steps() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(FindOldRefusals)]
}

struct FindOldRefusals;

impl MigrationName for FindOldRefusals {
    fn name(&self) -> &'static str {
        "0008_trimming"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for FindOldRefusals {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, &INDEXES).await
    }
}

const INDEXES: [&str; 1] = ["CREATE INDEX refusal_records_by_age ON refusal_records (counted_at)"];
