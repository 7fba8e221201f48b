//! The ingress's own settings. Addresses, the broker and logging are the process's.

use std::path::PathBuf;
use std::time::Duration;

use hookrail_runtime::SettingsError;
use ipnet::IpNet;

/// Most worker threads that can be asked for.
const MAX_WORKERS: usize = 256;
/// The least memory for bodies that can be asked for, bytes: one of the largest, encoded and decoded,
/// with what its decoder takes.
const MIN_BODY_BYTES_IN_FLIGHT: usize = 96 * 1024 * 1024;
/// Most requests in flight that can be asked for.
const MAX_IN_FLIGHT: usize = 1_000_000;

/// What can be set of the ingress.
#[derive(Clone, Debug, clap::Args)]
pub struct IngressSettings {
    /// Threads that serve requests; 0 = one per core
    #[arg(long, value_name = "THREADS", help_heading = "Ingress", default_value_t = 0)]
    pub ingress_workers: usize,
    /// Requests whose body may be in memory at once; further ones are answered 503
    #[arg(
        long,
        value_name = "REQUESTS",
        help_heading = "Ingress",
        default_value_t = 4096
    )]
    pub ingress_max_in_flight: usize,
    /// Bytes of bodies that may be in memory at once; further ones are answered 503
    #[arg(
        long,
        value_name = "BYTES",
        help_heading = "Ingress",
        default_value_t = 512 * 1024 * 1024
    )]
    pub ingress_max_body_bytes_in_flight: usize,
    /// Callers of request-response that may wait at once; further ones are answered 503
    #[arg(
        long,
        value_name = "CALLERS",
        help_heading = "Ingress",
        default_value_t = 8192
    )]
    pub ingress_max_waiting: usize,
    /// How long a request's head may take
    #[arg(long, value_name = "MS", help_heading = "Ingress", default_value_t = 5_000)]
    pub ingress_header_timeout_ms: u64,
    /// How long a request's body may take
    #[arg(long, value_name = "MS", help_heading = "Ingress", default_value_t = 30_000)]
    pub ingress_body_timeout_ms: u64,
    /// How long an idle connection is kept open
    #[arg(long, value_name = "MS", help_heading = "Ingress", default_value_t = 75_000)]
    pub ingress_keep_alive_ms: u64,
    /// Networks of proxies whose X-Forwarded-For, -Proto and -Host (or Forwarded) are believed
    #[arg(long, value_name = "CIDR,…", help_heading = "Ingress", value_delimiter = ',')]
    pub ingress_trusted_proxies: Vec<IpNet>,
    /// Requests a second that one client address may make at this ingress; 0 = as many as come
    #[arg(long, value_name = "REQUESTS", help_heading = "Ingress", default_value_t = 0)]
    pub ingress_client_rate: u32,
    /// Certificate chain (PEM) with which the ingress speaks TLS itself; read again when it changes
    #[arg(long, value_name = "FILE", help_heading = "Ingress")]
    pub ingress_tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Ingress")]
    pub ingress_tls_key: Option<PathBuf>,
}

impl Default for IngressSettings {
    fn default() -> Self {
        Self {
            ingress_workers: 0,
            ingress_max_in_flight: 4096,
            ingress_max_body_bytes_in_flight: 512 * 1024 * 1024,
            ingress_max_waiting: 8192,
            ingress_header_timeout_ms: 5_000,
            ingress_body_timeout_ms: 30_000,
            ingress_keep_alive_ms: 75_000,
            ingress_trusted_proxies: Vec::new(),
            ingress_client_rate: 0,
            ingress_tls_cert: None,
            ingress_tls_key: None,
        }
    }
}

impl IngressSettings {
    /// Refuses settings that can't work, by name.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        let require = |holds: bool, name: &'static str, reason: &'static str| match holds {
            true => Ok(()),
            false => Err(SettingsError::invalid(name, reason)),
        };
        let workers = self.ingress_workers <= MAX_WORKERS;
        require(workers, "ingress-workers", "has to be at most 256")?;
        let in_flight = (1..=MAX_IN_FLIGHT).contains(&self.ingress_max_in_flight);
        require(in_flight, "ingress-max-in-flight", "has to be 1 to 1000000")?;
        let bytes = self.ingress_max_body_bytes_in_flight >= MIN_BODY_BYTES_IN_FLIGHT;
        require(
            bytes,
            "ingress-max-body-bytes-in-flight",
            "has to be at least 100663296",
        )?;
        let waiting = (1..=MAX_IN_FLIGHT).contains(&self.ingress_max_waiting);
        require(waiting, "ingress-max-waiting", "has to be 1 to 1000000")?;
        let head = self.ingress_header_timeout_ms >= 100;
        require(head, "ingress-header-timeout-ms", "has to be at least 100")?;
        let body = self.ingress_body_timeout_ms >= 100;
        require(body, "ingress-body-timeout-ms", "has to be at least 100")
    }

    /// The number of worker threads.
    pub(crate) fn workers(&self) -> usize {
        match self.ingress_workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        }
    }

    /// How long a request's body may take.
    pub(crate) fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.ingress_body_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_good_and_a_wrong_setting_is_named() {
        assert!(IngressSettings::default().check().is_ok());
        let wrong = IngressSettings {
            ingress_max_in_flight: 0,
            ..IngressSettings::default()
        };
        let error = wrong.check().unwrap_err().to_string();
        assert!(error.contains("ingress-max-in-flight"), "{error}");
    }
}
