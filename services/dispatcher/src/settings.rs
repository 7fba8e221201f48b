//! The dispatcher's own settings.

use clap::Args;
use hookrail_runtime::SettingsError;

/// What can be set of the dispatcher.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Dispatcher")]
pub struct DispatcherSettings {
    /// HTTP exchanges at once in this process, divided among the partitions that it owns
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub dispatcher_in_flight: u32,
    /// HTTP exchanges at once for one destination, whatever its own limit
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub dispatcher_destination_in_flight: u32,
    /// Attempts a second in this process, divided among the partitions that it owns
    #[arg(long, value_name = "N", default_value_t = 40_000.0)]
    pub dispatcher_attempts_per_second: f64,
    /// Share of a stream of parked deliveries that one destination may fill, in percent; what it can't
    /// park beyond that is dead, over_quota
    #[arg(long, value_name = "PERCENT", default_value_t = 20)]
    pub dispatcher_parked_percent: u32,
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
            dispatcher_in_flight: 4096,
            dispatcher_destination_in_flight: 128,
            dispatcher_attempts_per_second: 40_000.0,
            dispatcher_parked_percent: 20,
            dispatcher_worker: None,
            dispatcher_exclusive: false,
        }
    }
}

impl DispatcherSettings {
    /// Refuses settings that can't be meant.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        let at_least_one = |flag: &'static str, value: u32| match value {
            0 => Err(SettingsError::invalid(flag, "has to be at least 1")),
            _ => Ok(()),
        };
        at_least_one("dispatcher-in-flight", self.dispatcher_in_flight)?;
        at_least_one(
            "dispatcher-destination-in-flight",
            self.dispatcher_destination_in_flight,
        )?;
        if !(1..=90).contains(&self.dispatcher_parked_percent) {
            return Err(SettingsError::invalid(
                "dispatcher-parked-percent",
                "has to be 1 to 90",
            ));
        }
        let rate = self.dispatcher_attempts_per_second;
        if !(rate.is_finite() && rate > 0.0) {
            return Err(SettingsError::invalid(
                "dispatcher-attempts-per-second",
                "has to be above 0",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_never_send_are_refused_by_name() {
        assert!(DispatcherSettings::default().check().is_ok());
        let none = DispatcherSettings {
            dispatcher_in_flight: 0,
            ..DispatcherSettings::default()
        };
        assert!(
            none.check()
                .unwrap_err()
                .to_string()
                .contains("--dispatcher-in-flight")
        );
        for rate in [0.0, -1.0, f64::NAN] {
            let never = DispatcherSettings {
                dispatcher_attempts_per_second: rate,
                ..DispatcherSettings::default()
            };
            assert!(never.check().is_err(), "{rate}");
        }
    }
}
