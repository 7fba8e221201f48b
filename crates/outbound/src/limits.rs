//! Every limit of the client, by name.

use std::time::Duration;

/// How much of a response's body an attempt keeps by default, in bytes: what the API shows.
pub const RESPONSE_BODY_KEPT_BYTES: usize = 16 * 1024;

/// How much of a response's body is read at all, in bytes. Reading a body to its end lets the
/// connection be used again; beyond this the connection is dropped, which is not a failure.
pub const RESPONSE_BODY_DRAINED_BYTES: usize = 256 * 1024;

/// How much of a response's headers an attempt keeps, names and values, in bytes.
pub(crate) const RESPONSE_HEADERS_KEPT_BYTES: usize = 16 * 1024;

/// Largest header list taken over HTTP/2, in bytes.
pub(crate) const RESPONSE_HEADERS_MAX_BYTES: u32 = 64 * 1024;

/// Longest error detail that is kept, in characters.
pub(crate) const DETAIL_MAX_CHARS: usize = 500;

/// Longest time for DNS, TCP and TLS of one new connection, within the exchange's time-out.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time for resolving one name, within [`CONNECT_TIMEOUT`].
pub(crate) const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Most names that are resolved at the same time. Each holds a thread of the runtime's blocking
/// pool until the system's resolver answers, which a dead name server delays by many seconds.
pub(crate) const LOOKUPS_IN_FLIGHT: usize = 128;

/// Most addresses taken from one name's answer.
pub(crate) const ADDRESSES_PER_NAME: usize = 64;

/// Keep-alive probes on idle connections, so that a receiver that vanished is noticed.
pub(crate) const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// Addresses of one receiver that a proxy is asked for in turn.
pub(crate) const PROXY_TARGETS: usize = 4;

/// Sets of connections with certificates or a proxy of their own that are kept open at a time; beyond them
/// the one that was used longest ago is closed once it is idle.
pub(crate) const PROFILES: usize = 256;

/// The settings of a client.
#[derive(Debug, Clone)]
pub struct OutboundLimits {
    /// Connections kept open per host without a request on them.
    pub idle_per_host: usize,
    /// How long such a connection is kept, in milliseconds. Most receivers close after 60–75 s;
    /// staying below avoids meeting their close.
    pub idle_timeout_ms: u64,
    /// Longest time-out of an exchange that a request may ask for, in milliseconds.
    pub timeout_max_ms: u64,
}

impl Default for OutboundLimits {
    fn default() -> Self {
        Self {
            idle_per_host: 64,
            idle_timeout_ms: 30_000,
            timeout_max_ms: 60_000,
        }
    }
}
