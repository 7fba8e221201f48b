//! The ingress over HTTP, with a real nats-server behind it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod accepting;
mod bodies;
mod connection;
mod gateway;
mod keys;
mod knowing;
mod large;
mod outages;
mod refusing;
mod reports;
mod responding;
mod tls;
