//! The tables, created and changed in steps; each step runs once, in one transaction with the others.
//!
//! Columns are BIGINT and TEXT (and bytes where it can't be helped), the same on both databases.
//! JSON is TEXT: JSONB would change numbers and the order of members.

mod audit;
mod bodies;
mod data;
mod definitions;
mod entities;
mod event_types;
mod fetchers;
mod held;
mod syncs;
mod trimming;

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager};

use crate::{Store, StoreError};

/// The key of the advisory lock under which PostgreSQL's tables are changed: "hookrail" in ASCII.
const MIGRATION_LOCK: i64 = 0x686f_6f6b_7261_696c;

struct Migrations;

impl MigratorTrait for Migrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut steps = data::steps();
        steps.extend(entities::steps());
        steps.extend(definitions::steps());
        steps.extend(trimming::steps());
        steps.extend(bodies::steps());
        steps.extend(audit::steps());
        steps.extend(event_types::steps());
        steps.extend(syncs::steps());
        steps.extend(held::steps());
        steps
    }
}

/// Runs the steps that have not run yet. The lock makes others that start now wait; SQLite's write
/// transaction is a lock by itself.
pub(crate) async fn run(store: &Store) -> Result<(), StoreError> {
    let transaction = store.write().await?;
    if store.backend() == DbBackend::Postgres {
        let lock = format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
        transaction.execute_unprepared(&lock).await?;
    }
    Migrations::up(&*transaction, None).await?;
    transaction.commit().await
}

/// Runs `statements`, in which `{key}` stands for text that is compared byte by byte (ids, so that
/// keysets and indexes sort alike everywhere), `{bytes}` for bytes, and `{keys_only}` for a table that is
/// nothing but its key, so that SQLite doesn't store it twice.
pub(crate) async fn execute(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    let (key, bytes, keys_only) = match manager.get_database_backend() {
        DbBackend::Postgres => ("TEXT COLLATE \"C\"", "BYTEA", ""),
        _ => ("TEXT", "BLOB", "WITHOUT ROWID"),
    };
    for statement in statements {
        let statement = statement
            .replace("{key}", key)
            .replace("{bytes}", bytes)
            .replace("{keys_only}", keys_only);
        manager.get_connection().execute_unprepared(&statement).await?;
    }
    Ok(())
}
