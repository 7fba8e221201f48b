//! The config service, asked over HTTP, with a real nats-server and a real database.
#![allow(clippy::unwrap_used, reason = "tests")]

mod administration;
mod audit;
mod client;
mod conventions;
mod destinations;
mod fetchers;
mod fixture;
mod idempotency;
mod limits;
mod nats;
mod notices;
mod posted_events;
mod publishing;
mod receiver;
mod rekey;
mod roles;
mod routes;
mod sources;
