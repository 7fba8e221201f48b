//! Starts logging: JSON lines on stderr, filtered by `--log-level`. What a line looks like is in [`crate::log_lines`].

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::log_lines::JsonLines;
use crate::settings::SettingsError;

/// Starts logging for the process. `service` is what lines carry that no service's own code wrote.
/// Starting it again in the same process (tests do) changes nothing.
///
/// # Errors
/// When `log_level` is not a filter.
pub fn start(service: &'static str, log_level: &str) -> Result<(), SettingsError> {
    let filter = EnvFilter::try_new(log_level)
        .map_err(|error| SettingsError::invalid("log-level", error.to_string()))?;
    // The only error is that the process logs already.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(JsonLines::new(service))
        .try_init();
    Ok(())
}
