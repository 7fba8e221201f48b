//! Starts the real thing for tests: nats-server, PostgreSQL databases, the `hookrail` binary as one
//! process or as four, a receiver that records what arrives. Nothing here stands in for a real part.

mod api;
mod child;
mod encodings;
mod key_ring;
mod nats;
mod nats_cluster;
mod official;
mod postgres;
mod receiver;
mod sql;
mod stack;
mod wait;

pub use api::{Answer, Api};
pub use child::Child;
pub use encodings::{bomb, encode};
pub use key_ring::{key_ring, key_ring_text};
pub use nats::NatsServer;
pub use nats_cluster::start_nats_servers;
pub use official::{python, verify_standard_webhook};
pub use postgres::{create_database, dump_database, restore_database};
pub use receiver::{Arrival, Receiver, Reply};
pub use sql::{write_postgres, write_sqlite};
pub use stack::{ADMIN_TOKEN, Service, Stack, hookrail_binary};
pub use wait::eventually;

/// The first port from which tests take theirs is chosen by the system: port 0, everywhere.
pub const ANY_PORT: &str = "127.0.0.1:0";

/// Installs the TLS provider that the HTTP client needs; safe to call many times.
pub fn install_tls_provider() {
    // A second installation is refused and changes nothing.
    let _already = rustls::crypto::ring::default_provider().install_default();
}

/// The folder with public samples beside the checkout, where there is one.
pub fn shared_folder() -> Option<std::path::PathBuf> {
    let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(3)?
        .join("shared");
    beside.is_dir().then_some(beside)
}
