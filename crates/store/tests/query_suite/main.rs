//! What people look for, by the same tests on SQLite and PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../databases/mod.rs"]
mod databases;
mod deliveries;
mod entities;
mod entity_writes;
mod events;
mod samples;
mod source_status;
