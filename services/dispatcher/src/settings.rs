//! The dispatcher's own settings.

use clap::Args;

/// What can be set of the dispatcher.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Dispatcher")]
pub struct DispatcherSettings {
    /// HTTP exchanges at once in each partition, over all destinations
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub dispatcher_in_flight: u32,
    /// HTTP exchanges at once for one destination, whatever its own limit
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub dispatcher_destination_in_flight: u32,
    /// Attempts a second in each partition, over all destinations
    #[arg(long, value_name = "N", default_value_t = 10_000.0)]
    pub dispatcher_attempts_per_second: f64,
    /// Name of this worker among the dispatchers; by default a new one at each start
    #[arg(long, value_name = "NAME")]
    pub dispatcher_worker: Option<String>,
    /// Whether that name is known to be nobody else's, so that what it owned is taken back at once
    #[arg(skip)]
    pub dispatcher_exclusive: bool,
}

impl Default for DispatcherSettings {
    fn default() -> Self {
        Self {
            dispatcher_in_flight: 1024,
            dispatcher_destination_in_flight: 128,
            dispatcher_attempts_per_second: 10_000.0,
            dispatcher_worker: None,
            dispatcher_exclusive: false,
        }
    }
}
