//! The tables of the definitions: what the config service writes, and how it reaches the broker.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

/// The steps, in order.
pub(super) fn steps() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(CreateDefinitions),
        Box::new(super::fetchers::CreateFetchers),
    ]
}

struct CreateDefinitions;

impl MigrationName for CreateDefinitions {
    fn name(&self) -> &str {
        "definitions_0001_create"
    }
}

#[async_trait]
impl MigrationTrait for CreateDefinitions {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, &INSTALLATION).await?;
        super::execute(manager, &DEFINITIONS).await?;
        super::execute(manager, &PUBLISHING).await
    }
}

const INSTALLATION: [&str; 3] = [
    "CREATE TABLE install (singleton BIGINT PRIMARY KEY CHECK (singleton = 1), id TEXT NOT NULL, \
     prefix TEXT NOT NULL, partitions BIGINT NOT NULL, format_version BIGINT NOT NULL)",
    "CREATE TABLE workspaces (id {key} PRIMARY KEY, code {key} NOT NULL UNIQUE, created_at BIGINT NOT NULL)",
    // A token without a workspace is root's.
    "CREATE TABLE tokens (id {key} PRIMARY KEY, workspace_id {key} REFERENCES workspaces (id), \
     role TEXT NOT NULL, label TEXT NOT NULL, hash {key} NOT NULL UNIQUE, hint TEXT NOT NULL, \
     created_at BIGINT NOT NULL, last_used_at BIGINT)",
];

const DEFINITIONS: [&str; 8] = [
    "CREATE TABLE sources (id {key} PRIMARY KEY, workspace_id {key} NOT NULL REFERENCES workspaces (id), \
     name {key} NOT NULL, spec TEXT NOT NULL, token TEXT NOT NULL, old_names TEXT NOT NULL, \
     revision BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, \
     UNIQUE (workspace_id, name))",
    "CREATE TABLE destinations (id {key} PRIMARY KEY, workspace_id {key} NOT NULL REFERENCES workspaces (id), \
     name {key} NOT NULL, spec TEXT NOT NULL, token TEXT NOT NULL, old_names TEXT NOT NULL, \
     revision BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, \
     UNIQUE (workspace_id, name))",
    "CREATE TABLE routes (id {key} PRIMARY KEY, workspace_id {key} NOT NULL REFERENCES workspaces (id), \
     name {key} NOT NULL, spec TEXT NOT NULL, token TEXT NOT NULL, old_names TEXT NOT NULL, \
     revision BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, \
     UNIQUE (workspace_id, name))",
    "CREATE TABLE definition_uses (user_id {key} NOT NULL, used_id {key} NOT NULL, \
     PRIMARY KEY (user_id, used_id))",
    "CREATE INDEX definition_uses_by_used ON definition_uses (used_id)",
    "CREATE TABLE secrets (id {key} PRIMARY KEY, owner_id {key} NOT NULL, field TEXT NOT NULL, \
     value TEXT NOT NULL, expires_at BIGINT)",
    "CREATE INDEX secrets_by_owner ON secrets (owner_id)",
    "CREATE TABLE api_keys (id {key} PRIMARY KEY, source_id {key} NOT NULL REFERENCES sources (id) ON DELETE CASCADE, \
     label TEXT NOT NULL, hash {key} NOT NULL, hint TEXT NOT NULL, created_at BIGINT NOT NULL, \
     UNIQUE (source_id, hash))",
];

const PUBLISHING: [&str; 6] = [
    "CREATE TABLE counters (name {key} PRIMARY KEY, value BIGINT NOT NULL)",
    "INSERT INTO counters (name, value) VALUES ('revision', 0), ('publisher', 0)",
    "CREATE TABLE outbox (revision BIGINT PRIMARY KEY, entry_key TEXT NOT NULL, payload {bytes} NOT NULL)",
    // Entries of deleted definitions, so that the broker's copies can go once nothing refers to them.
    "CREATE TABLE tombstones (entry_key {key} PRIMARY KEY, deleted_at BIGINT NOT NULL)",
    "CREATE TABLE idempotency (workspace_id {key} NOT NULL, idempotency_key {key} NOT NULL, \
     method TEXT NOT NULL, path {key} NOT NULL, body_hash TEXT NOT NULL, status BIGINT, location TEXT, \
     answer TEXT, created_at BIGINT NOT NULL, PRIMARY KEY (workspace_id, idempotency_key, method, path))",
    "CREATE INDEX idempotency_by_age ON idempotency (created_at)",
];
