//! The read side of the API: events, entities, deliveries, and what a source says of itself, against a
//! real nats-server and SQLite. What the processor would write is written here by its own functions.
#![allow(clippy::unwrap_used, reason = "tests")]

mod deliveries;
mod entities;
mod events;
mod preview;
mod running;
mod source_status;
