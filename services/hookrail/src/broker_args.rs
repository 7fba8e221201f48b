//! The settings of the connection to NATS and of its streams, as flags. What they mean and which go together is
//! checked by the broker crate.

use std::path::PathBuf;

use hookrail_broker::{BrokerSettings, StreamLimits};
use hookrail_runtime::{Secret, SettingsError};

/// Partitions of an installation on a cluster, and of `hookrail up`.
pub(crate) const CLUSTER_PARTITIONS: u32 = 32;
pub(crate) const UP_PARTITIONS: u32 = 4;

/// How to reach NATS and how large the streams are.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BrokerArgs {
    /// NATS servers, separated by commas: nats://host:port or tls://host:port
    #[arg(long, value_name = "URL,…", help_heading = "NATS")]
    pub(crate) nats_url: Option<Secret>,

    /// A NATS credentials file (JWT and seed)
    #[arg(long, value_name = "FILE", help_heading = "NATS")]
    nats_credentials: Option<PathBuf>,

    /// A file with an nkey seed
    #[arg(long, value_name = "FILE", help_heading = "NATS")]
    nats_nkey_seed: Option<PathBuf>,

    /// Refuse NATS servers without TLS
    #[arg(long, help_heading = "NATS")]
    nats_tls_required: bool,

    /// The authorities that the NATS server's certificate may come from (PEM)
    #[arg(long, value_name = "FILE", help_heading = "NATS")]
    nats_ca: Option<PathBuf>,

    /// This client's certificate (PEM); needs --nats-key
    #[arg(long, value_name = "FILE", help_heading = "NATS")]
    nats_certificate: Option<PathBuf>,

    /// The key of this client's certificate (PEM)
    #[arg(long, value_name = "FILE", help_heading = "NATS")]
    nats_key: Option<PathBuf>,

    /// The JetStream domain, where the NATS server is a leaf of one
    #[arg(long, value_name = "NAME", help_heading = "NATS")]
    jetstream_domain: Option<String>,

    /// What all names in NATS begin with, so that installations can share a cluster
    #[arg(long, value_name = "NAME", default_value = "HOOKRAIL", help_heading = "NATS")]
    nats_prefix: String,

    /// How long NATS remembers a message, in milliseconds: a repetition within is answered at once
    #[arg(long, value_name = "MS", default_value_t = BrokerSettings::default().duplicate_window_ms, help_heading = "Streams", hide_short_help = true)]
    nats_duplicate_window_ms: u64,

    /// Partitions of events and of deliveries, fixed when installed: at least twice the largest number of workers
    /// [default: 32; 4 in `hookrail up`]
    #[arg(long, value_name = "N", help_heading = "Streams")]
    partitions: Option<u32>,

    /// Copies of each stream: 1, 3 or 5
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Streams")]
    replicas: usize,

    /// Largest size of one partition of events, in bytes; full, it refuses
    #[arg(long, value_name = "BYTES", default_value_t = StreamLimits::default().raw_max_bytes, help_heading = "Streams", hide_short_help = true)]
    stream_raw_max_bytes: i64,

    /// Largest size of one partition of deliveries, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = StreamLimits::default().delivery_max_bytes, help_heading = "Streams", hide_short_help = true)]
    stream_delivery_max_bytes: i64,

    /// Largest size of each of the four streams of parked deliveries, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = StreamLimits::default().parked_max_bytes, help_heading = "Streams", hide_short_help = true)]
    stream_parked_max_bytes: i64,

    /// Largest size of the hand-over of dead deliveries, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = StreamLimits::default().dead_max_bytes, help_heading = "Streams", hide_short_help = true)]
    stream_dead_max_bytes: i64,

    /// Largest size of the journal's queue, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = StreamLimits::default().journal_max_bytes, help_heading = "Streams", hide_short_help = true)]
    stream_journal_max_bytes: i64,

    /// Largest size of the store of bodies that are too large for a message, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = StreamLimits::default().object_max_bytes, help_heading = "Streams", hide_short_help = true)]
    stream_object_max_bytes: i64,

    /// Bytes of such bodies that each service has in memory at once; a larger one is alone
    #[arg(long, value_name = "BYTES", default_value_t = BrokerSettings::default().large_memory_bytes, help_heading = "Streams", hide_short_help = true)]
    large_body_memory_bytes: u64,
    /// Largest size of the answers that are kept for waiting callers, in bytes; nearly full, no more may wait
    #[arg(long, value_name = "BYTES", default_value_t = StreamLimits::default().response_max_bytes, help_heading = "Streams", hide_short_help = true)]
    stream_response_max_bytes: i64,
}

impl BrokerArgs {
    /// The broker crate's settings; `partitions` where none were set.
    ///
    /// # Errors
    /// A wrong setting, by its flag.
    pub(crate) fn settings(&self, partitions: u32) -> Result<BrokerSettings, SettingsError> {
        let mut settings = BrokerSettings {
            credentials_file: self.nats_credentials.clone(),
            nkey_seed_file: self.nats_nkey_seed.clone(),
            tls_required: self.nats_tls_required,
            tls_ca_file: self.nats_ca.clone(),
            tls_certificate_file: self.nats_certificate.clone(),
            tls_key_file: self.nats_key.clone(),
            domain: self.jetstream_domain.clone(),
            prefix: self.nats_prefix.clone(),
            partitions: self.partitions.unwrap_or(partitions),
            replicas: self.replicas,
            limits: self.limits(),
            duplicate_window_ms: self.nats_duplicate_window_ms,
            large_memory_bytes: self.large_body_memory_bytes,
            ..BrokerSettings::default()
        };
        if let Some(urls) = &self.nats_url {
            settings.urls = urls_of(urls);
        }
        match settings.problems().first() {
            Some(problem) => Err(by_flag(problem)),
            None => Ok(settings),
        }
    }

    fn limits(&self) -> StreamLimits {
        StreamLimits {
            raw_max_bytes: self.stream_raw_max_bytes,
            delivery_max_bytes: self.stream_delivery_max_bytes,
            parked_max_bytes: self.stream_parked_max_bytes,
            dead_max_bytes: self.stream_dead_max_bytes,
            journal_max_bytes: self.stream_journal_max_bytes,
            object_max_bytes: self.stream_object_max_bytes,
            response_max_bytes: self.stream_response_max_bytes,
            ..StreamLimits::default()
        }
    }
}

/// Splits `--nats-url` at its commas.
pub(crate) fn urls_of(urls: &Secret) -> Vec<String> {
    urls.expose()
        .split(',')
        .map(|url| url.trim().to_owned())
        .filter(|url| !url.is_empty())
        .collect()
}

/// The broker names its own fields; people know the flags.
fn by_flag(problem: &str) -> SettingsError {
    let (field, reason) = problem.split_once(": ").unwrap_or(("nats-url", problem));
    let flag = match field {
        "urls" => "nats-url",
        "prefix" => "nats-prefix",
        "credentials_file" => "nats-credentials",
        "nkey_seed_file" => "nats-nkey-seed",
        "tls_ca_file" => "nats-ca",
        "tls_certificate_file" => "nats-certificate",
        "tls_key_file" => "nats-key",
        "domain" => "jetstream-domain",
        "duplicate_window_ms" => "nats-duplicate-window-ms",
        "publish_total_timeout_ms" => "nats-duplicate-window-ms",
        other => &other.replace("limits.", "stream-").replace('_', "-"),
    };
    SettingsError::invalid(flag, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_by_its_flag() {
        for (problem, flag) in [
            ("partitions: 1 to 1024", "--partitions"),
            ("prefix: 1 to 32", "--nats-prefix"),
            ("limits.raw_max_bytes: at least 1", "--stream-raw-max-bytes"),
            (
                "tls_certificate_file: only together with tls_key_file",
                "--nats-certificate",
            ),
        ] {
            let text = by_flag(problem).to_string();
            assert!(text.contains(&format!("{flag}:")), "{text}");
        }
    }

    #[test]
    fn servers_are_separated_by_commas() {
        assert_eq!(
            urls_of(&Secret::from("nats://a:1, nats://b:2".to_owned())),
            ["nats://a:1", "nats://b:2"]
        );
    }
}
