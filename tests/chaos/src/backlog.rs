//! Many unordered deliveries for a dead destination, beside a healthy one: they may take no memory, and
//! in the end each is delivered.

use clap::Args;

use crate::outage::{Outage, run_outage};

/// The numbers that unordered deliveries are told apart by.
const NUMBERS: u32 = 1_000;

/// What can be set of the run.
#[derive(Args)]
pub(crate) struct Backlog {
    /// Deliveries for the dead destination
    #[arg(long, default_value_t = 1_000_000)]
    deliveries: u32,
    /// Seconds that it is dead at least
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Deliveries a second for the failing destination; 0 = as fast as it goes
    #[arg(long, default_value_t = 4_000)]
    pile_rate: u32,
    /// Deliveries a second for the healthy destination
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Seconds to wait for all that was parked
    #[arg(long, default_value_t = 3_600)]
    patience: u64,
}

/// Runs it; whether every promise was kept.
pub(crate) async fn run(options: &Backlog) -> anyhow::Result<bool> {
    run_outage(&Outage {
        deliveries: options.deliveries,
        lanes: NUMBERS,
        ordered: false,
        pile_rate: options.pile_rate,
        seconds: options.seconds,
        rate: options.rate,
        patience: options.patience,
    })
    .await
}
