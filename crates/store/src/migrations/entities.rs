//! What entities have besides their newest state: tombstones, versions, and the terms that find them.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

/// The steps, in order.
pub(super) fn steps() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(FindAndRememberEntities)]
}

struct FindAndRememberEntities;

impl MigrationName for FindAndRememberEntities {
    fn name(&self) -> &'static str {
        "0005_entities"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for FindAndRememberEntities {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, &STATEMENTS).await
    }
}

/// Partial indexes say of what they are by columns that hardly ever change: on PostgreSQL an update that
/// changes one of an index's columns, those of its condition included, has to write all indexes.
const STATEMENTS: [&str; 12] = [
    "ALTER TABLE entities ADD COLUMN deleted_at BIGINT",
    "ALTER TABLE entities ADD COLUMN versions BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE entities ADD COLUMN terms_rules BIGINT",
    "ALTER TABLE entities ADD COLUMN replaced_partition BIGINT",
    "ALTER TABLE entities ADD COLUMN replaced_sequence BIGINT",
    "CREATE INDEX entities_by_age ON entities (workspace, first_seen_at, entity_type, unique_id) \
     WHERE deleted_at IS NULL",
    "CREATE INDEX entities_of_type_by_age ON entities (workspace, entity_type, first_seen_at, unique_id) \
     WHERE deleted_at IS NULL",
    "CREATE INDEX entities_deleted ON entities (deleted_at) WHERE deleted_at IS NOT NULL",
    "CREATE INDEX entities_without_terms ON entities (workspace) WHERE terms_rules IS NULL",
    "CREATE TABLE entity_terms (
        scope BIGINT NOT NULL, term {key} NOT NULL, first_seen_at BIGINT NOT NULL,
        entity_type {key} NOT NULL, unique_id {key} NOT NULL,
        PRIMARY KEY (scope, term, first_seen_at, entity_type, unique_id)) {keys_only}",
    "CREATE TABLE entity_versions (
        workspace {key} NOT NULL, entity_type {key} NOT NULL, unique_id {key} NOT NULL, number BIGINT NOT NULL,
        version_partition BIGINT NOT NULL, version_sequence BIGINT NOT NULL,
        change TEXT NOT NULL, event {key} NOT NULL, at BIGINT NOT NULL,
        title TEXT, fields TEXT NOT NULL, data TEXT NOT NULL,
        PRIMARY KEY (workspace, entity_type, unique_id, number, version_partition, version_sequence))",
    "CREATE INDEX events_by_type ON events (workspace, event_type, id) WHERE event_type <> 'webhook.received'",
];
