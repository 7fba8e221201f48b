//! What pausing a source adds: its events, kept with their bytes until it is resumed.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

/// The steps, in order.
pub(super) fn steps() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(HoldEvents)]
}

struct HoldEvents;

impl MigrationName for HoldEvents {
    fn name(&self) -> &'static str {
        "0012_held_events"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for HoldEvents {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, &TABLES).await
    }
}

/// The sums are per partition, so that only its owner writes them and nobody waits for another.
const TABLES: [&str; 3] = [
    "CREATE TABLE held_events (
        partition BIGINT NOT NULL, source {key} NOT NULL, sequence BIGINT NOT NULL, event {key} NOT NULL,
        stored_at BIGINT NOT NULL, bytes BIGINT NOT NULL, message {bytes} NOT NULL,
        PRIMARY KEY (partition, source, sequence))",
    "CREATE TABLE held_sources (
        partition BIGINT NOT NULL, source {key} NOT NULL, events BIGINT NOT NULL, bytes BIGINT NOT NULL,
        since BIGINT NOT NULL, PRIMARY KEY (partition, source))",
    "CREATE INDEX held_sources_by_source ON held_sources (source)",
];
