//! How to reach the broker and how large its streams are.
//!
//! Read once by each service and checked before anything connects.

use std::path::PathBuf;
use std::time::Duration;

use hookrail_domain::partition::MAX_PARTITIONS;
use hookrail_keyring::KeyRing;
use serde::Deserialize;

const MIB: i64 = 1024 * 1024;
const GIB: i64 = 1024 * MIB;

/// Copies of a stream that a quorum can be had of.
const REPLICAS: [usize; 3] = [1, 3, 5];

/// The smallest limit of a stream: less would refuse a single large message.
const STREAM_MIN_BYTES: i64 = 2 * MIB;

/// Settings of the connection to NATS and of the streams.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct BrokerSettings {
    /// Servers to try, `nats://host:port` or `tls://host:port`.
    pub urls: Vec<String>,
    /// A NATS credentials file (JWT and seed).
    pub credentials_file: Option<PathBuf>,
    /// A file with an nkey seed.
    pub nkey_seed_file: Option<PathBuf>,
    /// Refuse servers without TLS.
    pub tls_required: bool,
    /// PEM file of the authorities that the server's certificate may come from.
    pub tls_ca_file: Option<PathBuf>,
    /// PEM file of this client's certificate; needs `tls_key_file`.
    pub tls_certificate_file: Option<PathBuf>,
    /// PEM file of this client's key.
    pub tls_key_file: Option<PathBuf>,
    /// The JetStream domain, where the server is a leaf of one.
    pub domain: Option<String>,
    /// What all names begin with: letters, digits, `_` and `-`.
    pub prefix: String,
    /// Number of raw and of delivery partitions; fixed at installation.
    pub partitions: u32,
    /// Copies of each stream.
    pub replicas: usize,
    /// Limits of each stream, in bytes.
    pub limits: StreamLimits,
    /// How long a message id is remembered.
    pub duplicate_window_ms: u64,
    /// How long one try of a publish waits for its acknowledgement.
    pub publish_attempt_timeout_ms: u64,
    /// How long a publish is tried before its outcome is called unknown.
    pub publish_total_timeout_ms: u64,
    /// How long a management request waits for its answer.
    pub request_timeout_ms: u64,
    /// Bytes of bodies from the object store that one connection's users have in memory at once; a
    /// larger one is alone.
    pub large_memory_bytes: u64,
    /// What secrets in definitions are sealed by and opened with.
    #[serde(skip)]
    pub key_ring: KeyRing,
}

/// The largest size of each stream, in bytes. A full stream refuses; it never drops.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct StreamLimits {
    /// One raw partition, the event log included.
    pub raw_max_bytes: i64,
    /// One delivery partition.
    pub delivery_max_bytes: i64,
    /// One of the four streams of parked deliveries.
    pub parked_max_bytes: i64,
    /// Dead deliveries on their way to the journal.
    pub dead_max_bytes: i64,
    /// Journal records.
    pub journal_max_bytes: i64,
    /// Answers for waiting callers.
    pub response_max_bytes: i64,
    /// Bodies that are too large for a message.
    pub object_max_bytes: i64,
    /// Notices to the config service.
    pub notice_max_bytes: i64,
    /// Definitions.
    pub config_max_bytes: i64,
    /// Owners and heartbeats.
    pub owner_max_bytes: i64,
}

impl Default for StreamLimits {
    fn default() -> StreamLimits {
        StreamLimits {
            raw_max_bytes: 512 * MIB,
            delivery_max_bytes: 256 * MIB,
            parked_max_bytes: GIB,
            dead_max_bytes: 512 * MIB,
            journal_max_bytes: GIB,
            response_max_bytes: 256 * MIB,
            object_max_bytes: 2 * GIB,
            notice_max_bytes: 32 * MIB,
            config_max_bytes: 256 * MIB,
            owner_max_bytes: 32 * MIB,
        }
    }
}

impl Default for BrokerSettings {
    fn default() -> BrokerSettings {
        BrokerSettings {
            urls: vec!["nats://127.0.0.1:4222".to_owned()],
            credentials_file: None,
            nkey_seed_file: None,
            tls_required: false,
            tls_ca_file: None,
            tls_certificate_file: None,
            tls_key_file: None,
            domain: None,
            prefix: "HOOKRAIL".to_owned(),
            partitions: 32,
            replicas: 1,
            limits: StreamLimits::default(),
            duplicate_window_ms: 120_000,
            publish_attempt_timeout_ms: 1_500,
            publish_total_timeout_ms: 5_000,
            request_timeout_ms: 5_000,
            large_memory_bytes: 128 * 1024 * 1024,
            key_ring: KeyRing::default(),
        }
    }
}

impl BrokerSettings {
    /// What is wrong with the settings, each naming its setting; empty when nothing is.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |good: bool, problem: &str| {
            if !good {
                problems.push(problem.to_owned());
            }
        };
        check(!self.urls.is_empty(), "urls: at least one is needed");
        check(
            is_prefix(&self.prefix),
            "prefix: 1 to 32 of A-Z, a-z, 0-9, '_' and '-'",
        );
        check(
            (1..=MAX_PARTITIONS).contains(&self.partitions),
            "partitions: 1 to 1024",
        );
        check(REPLICAS.contains(&self.replicas), "replicas: 1, 3 or 5");
        check(
            self.credentials_file.is_none() || self.nkey_seed_file.is_none(),
            "credentials_file: not together with nkey_seed_file",
        );
        check(
            self.tls_certificate_file.is_some() == self.tls_key_file.is_some(),
            "tls_certificate_file: only together with tls_key_file",
        );
        check(
            self.publish_attempt_timeout_ms > 0
                && self.publish_attempt_timeout_ms <= self.publish_total_timeout_ms,
            "publish_attempt_timeout_ms: more than 0, at most publish_total_timeout_ms",
        );
        check(
            self.publish_total_timeout_ms * 2 <= self.duplicate_window_ms,
            "publish_total_timeout_ms: at most half of duplicate_window_ms",
        );
        check(self.request_timeout_ms > 0, "request_timeout_ms: more than 0");
        for (name, bytes) in self.limits.named() {
            check(
                bytes >= STREAM_MIN_BYTES,
                &format!("limits.{name}: at least {STREAM_MIN_BYTES}"),
            );
        }
        problems
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

impl StreamLimits {
    /// The same size for every stream, in bytes.
    pub fn all(max_bytes: i64) -> StreamLimits {
        StreamLimits {
            raw_max_bytes: max_bytes,
            delivery_max_bytes: max_bytes,
            parked_max_bytes: max_bytes,
            dead_max_bytes: max_bytes,
            journal_max_bytes: max_bytes,
            response_max_bytes: max_bytes,
            object_max_bytes: max_bytes,
            notice_max_bytes: max_bytes,
            config_max_bytes: max_bytes,
            owner_max_bytes: max_bytes,
        }
    }

    fn named(&self) -> [(&'static str, i64); 10] {
        [
            ("raw_max_bytes", self.raw_max_bytes),
            ("delivery_max_bytes", self.delivery_max_bytes),
            ("parked_max_bytes", self.parked_max_bytes),
            ("dead_max_bytes", self.dead_max_bytes),
            ("journal_max_bytes", self.journal_max_bytes),
            ("response_max_bytes", self.response_max_bytes),
            ("object_max_bytes", self.object_max_bytes),
            ("notice_max_bytes", self.notice_max_bytes),
            ("config_max_bytes", self.config_max_bytes),
            ("owner_max_bytes", self.owner_max_bytes),
        ]
    }
}

fn is_prefix(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_without_problems() {
        assert_eq!(BrokerSettings::default().problems(), Vec::<String>::new());
    }

    #[test]
    fn each_problem_names_its_setting() {
        let settings = BrokerSettings {
            urls: Vec::new(),
            prefix: "a.b".to_owned(),
            partitions: 0,
            replicas: 2,
            publish_total_timeout_ms: 100_000,
            limits: StreamLimits {
                raw_max_bytes: 1,
                ..StreamLimits::default()
            },
            ..BrokerSettings::default()
        };
        let named: Vec<_> = settings
            .problems()
            .iter()
            .map(|p| p.split(':').next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(
            named,
            [
                "urls",
                "prefix",
                "partitions",
                "replicas",
                "publish_total_timeout_ms",
                "limits.raw_max_bytes"
            ]
        );
    }
}
