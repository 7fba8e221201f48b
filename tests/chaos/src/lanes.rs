//! Many ordered lanes of a destination that fails for a while, beside healthy ones: these must not
//! notice, each parked lane may take little memory, and in the end all is delivered in order.

use clap::Args;

use crate::outage::{Outage, run_outage};

/// What can be set of the run.
#[derive(Args)]
pub(crate) struct Lanes {
    /// Lanes of the failing destination
    #[arg(long, default_value_t = 100_000)]
    lanes: u32,
    /// Deliveries of each of them
    #[arg(long, default_value_t = 2)]
    each: u32,
    /// Seconds that it fails at least
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Deliveries a second for the failing destination; 0 = as fast as it goes
    #[arg(long, default_value_t = 4_000)]
    pile_rate: u32,
    /// Deliveries a second for the healthy destination
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// Seconds to wait for all that was parked
    #[arg(long, default_value_t = 600)]
    patience: u64,
}

/// Runs it; whether every promise was kept.
pub(crate) async fn run(options: &Lanes) -> anyhow::Result<bool> {
    run_outage(&Outage {
        deliveries: options.lanes * options.each,
        lanes: options.lanes,
        ordered: true,
        pile_rate: options.pile_rate,
        seconds: options.seconds,
        rate: options.rate,
        patience: options.patience,
    })
    .await
}
