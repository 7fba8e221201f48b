//! Runs the real thing under kills, freezes and loads that are hard to bear, and says what that cost:
//! nothing accepted may be lost, and no lane may get out of order.
//!
//! Figures are printed; what decides is only what is promised.

mod backlog;
mod bodies;
mod burst;
mod deliveries;
mod disorder;
mod feed;
mod hanging;
mod installation;
mod journal;
mod lane_ledger;
mod lanes;
mod latencies;
mod memory;
mod moods;
mod outage;
mod seeded;
mod services;
mod sink;
mod steady;
mod webhook_ledger;
mod webhook_senders;
mod worker;

use clap::{Parser, Subcommand};

/// Prove the promises of delivery on this machine
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    proof: Proof,
}

#[derive(Subcommand)]
enum Proof {
    /// Kill the four services and nats-server in turn while webhooks go through
    Services(services::Services),
    /// Kill, freeze, terminate and start dispatchers, and kill nats-servers, while lanes fail
    Deliveries(deliveries::Deliveries),
    /// Park many ordered lanes of a destination that fails, beside healthy ones
    Lanes(lanes::Lanes),
    /// Pile up unordered deliveries for a dead destination, beside a healthy one
    Backlog(backlog::Backlog),
    /// Offer many deliveries of one healthy ordered lane at once
    Burst(burst::Burst),
    /// Compare a destination's latency beside one that hangs on every request, and without it
    Hanging(hanging::Hanging),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    hookrail_harness::install_tls_provider();
    let runtime = tokio::runtime::Runtime::new()?;
    let kept = runtime.block_on(async {
        match &cli.proof {
            Proof::Services(proof) => services::run(proof).await,
            Proof::Deliveries(proof) => deliveries::run(proof).await,
            Proof::Lanes(proof) => lanes::run(proof).await,
            Proof::Backlog(proof) => backlog::run(proof).await,
            Proof::Burst(proof) => burst::run(proof).await,
            Proof::Hanging(proof) => hanging::run(proof).await,
        }
    })?;
    anyhow::ensure!(kept, "a promise was broken");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "its summary is what it is for")]
fn print(line: &str) {
    println!("{line}");
}
