//! The store: the only crate that knows SQL.
//!
//! One file per table, holding its columns and its queries. Two kinds of tables: definitions, which
//! the config service writes, and data (events, entities, deliveries, …), which the processor writes.
//! Nothing here decides anything: what is written was decided by the domain.

// data
pub mod attempts;
pub mod dead_letters;
pub mod deliveries;
pub mod entities;
pub mod entity_terms;
pub mod entity_versions;
pub mod event_entities;
pub mod event_keys;
pub mod events;
pub mod held_events;
pub mod import_lines;
pub mod imports;
pub mod internal_events;
pub mod open_jobs;
pub mod partition_progress;
pub mod rejections;
pub mod replay_items;
pub mod replays;
pub mod source_counters;
pub mod source_refusals;
pub mod source_warnings;
pub mod sync_leftovers;
pub mod sync_rows;
pub mod sync_runs;
pub mod sync_schedules;
pub mod sync_sends;

// keeping the journal bounded
pub mod copy;
pub mod size;
pub mod trim;

mod connect;
mod error;
mod migrations;
mod rows;
mod transaction;

pub use connect::Store;
pub use error::StoreError;
pub use sea_orm;
pub use transaction::WriteTransaction;

// definitions
pub mod api_keys;
pub mod audit;
pub mod definition_names;
pub mod definition_rows;
pub mod definition_uses;
pub mod idempotency;
pub mod install;
mod keyset;
pub mod outbox;
pub mod revision;
pub mod secrets;
mod statement;
pub mod tokens;
pub mod unsettled_deliveries;
pub mod workspaces;

pub use definition_rows::{DefinitionRow, DefinitionTable};
pub use keyset::IdPage;

// other databases
pub mod foreign;

// what people look for
pub mod queries;
