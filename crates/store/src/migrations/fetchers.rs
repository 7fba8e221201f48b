//! What fetchers add: a table of their definitions, and to a delivery whose call it is.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait};

/// Adds the definitions, after the workspaces that they belong to.
pub(super) struct CreateFetchers;

impl MigrationName for CreateFetchers {
    fn name(&self) -> &str {
        "definitions_0006_fetchers"
    }
}

#[async_trait]
impl MigrationTrait for CreateFetchers {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = "CREATE TABLE fetchers (id {key} PRIMARY KEY, workspace_id {key} NOT NULL REFERENCES workspaces (id), \
             name {key} NOT NULL, spec TEXT NOT NULL, token TEXT NOT NULL, old_names TEXT NOT NULL, \
             revision BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, \
             UNIQUE (workspace_id, name))";
        super::execute(manager, &[table]).await
    }
}

/// Adds the fetcher to a delivery. Its `destination` has the same bits, so that the indexes there serve
/// fetches as well.
pub(super) struct NameFetchers;

impl MigrationName for NameFetchers {
    fn name(&self) -> &str {
        "0006_delivery_fetchers"
    }
}

#[async_trait]
impl MigrationTrait for NameFetchers {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::execute(manager, &["ALTER TABLE deliveries ADD COLUMN fetcher {key}"]).await
    }
}
