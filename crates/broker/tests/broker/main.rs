//! The broker crate against a real nats-server.
#![allow(clippy::unwrap_used, reason = "tests")]

mod command;
mod delivery;
mod journal;
mod nats;
mod objects;
mod ownership;
mod parked;
mod publishing;
mod raw;
mod replicated;
mod responses;
mod snapshot;
mod topology;
