//! Benchmarks on this machine, on loopback. They print ratios and CPU per event, since machines differ
//! and are noisy; nothing here passes or fails.

mod cpu;
mod deliveries;
mod entities;
mod ingress;
mod load;
mod paths;
mod processing;
mod respond;
mod servers;
mod sink;
mod syncs;

use std::time::Duration;

use clap::{Parser, Subcommand};

/// Benchmarks of Hookrail on loopback
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Bench>,
}

#[derive(Subcommand)]
enum Bench {
    /// The ingress beside a bare handler and one that publishes the same bytes (the default)
    Ingress {
        /// Seconds of load for each server and round
        #[arg(long, default_value_t = 6)]
        seconds: u64,
        /// Connections at once
        #[arg(long, default_value_t = 64)]
        connections: usize,
        /// Rounds, each server in turn
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// The dispatcher: deliveries a second, CPU of each, and the time of one at a steady pace
    Deliveries {
        /// Deliveries that wait in the queue
        #[arg(long, default_value_t = 40_000)]
        deliveries: u64,
        /// Deliveries a second, for the time of one
        #[arg(long, default_value_t = 500)]
        rate: u64,
        /// Seconds at that pace
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Entities: storing them, and finding them again in each way
    Entities {
        /// How many are stored
        #[arg(long, default_value_t = 1_000_000)]
        entities: u64,
        /// The database: PostgreSQL is the server that HOOKRAIL_TEST_POSTGRES_URL names
        #[arg(long, default_value = "sqlite", value_parser = ["sqlite", "postgres"])]
        database: String,
    },
    /// Request-response through `hookrail up`, beside a bare handler: round trips a second, and their time
    Respond {
        /// Seconds of load for each number of connections
        #[arg(long, default_value_t = 8)]
        seconds: u64,
        /// Numbers of connections at once
        #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
        connections: Vec<usize>,
    },
    /// Events through ingress and processor into the store, on SQLite and PostgreSQL
    Processing {
        /// Events that are sent
        #[arg(long, default_value_t = 60_000)]
        events: u64,
    },
    /// A table mirrored by a sync: all of it, then 1 % changed and 0.5 % deleted; killed in the middle of the first run
    Syncs {
        /// Rows of the table
        #[arg(long, default_value_t = 1_000_000)]
        rows: u64,
        /// The table lies in PostgreSQL, not in a SQLite file
        #[arg(long)]
        postgres: bool,
        /// Let the first run go through without a kill
        #[arg(long)]
        no_kill: bool,
    },
    /// Paths that were written to cost much: the time to refuse or to evaluate each
    Paths,
    /// Serves: answers 202 (started by the benchmark)
    #[command(hide = true)]
    ServeBare,
    /// Serves: publishes the body to JetStream and answers 202 after the ack (started by the benchmark)
    #[command(hide = true)]
    ServePublish {
        /// The nats-server
        #[arg(long)]
        nats_url: String,
    },
}

fn main() -> anyhow::Result<()> {
    let ingress = Bench::Ingress {
        seconds: 6,
        connections: 64,
        rounds: 3,
    };
    hookrail_harness::install_tls_provider();
    match Cli::parse().command.unwrap_or(ingress) {
        Bench::Processing { events } => {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(processing::measure(events))
        }
        Bench::Syncs {
            rows,
            postgres,
            no_kill,
        } => {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(syncs::measure(rows, postgres, !no_kill))
        }
        Bench::Paths => paths::measure(),
        Bench::ServeBare => servers::serve_bare(),
        Bench::ServePublish { nats_url } => servers::serve_publish(&nats_url),
        Bench::Deliveries {
            deliveries,
            rate,
            seconds,
        } => {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(deliveries::measure(
                deliveries,
                rate,
                Duration::from_secs(seconds),
            ))
        }
        Bench::Entities { entities, database } => {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(entities::measure(entities, &database))
        }
        Bench::Respond { seconds, connections } => {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(respond::measure(Duration::from_secs(seconds), &connections))
        }
        Bench::Ingress {
            seconds,
            connections,
            rounds,
        } => {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(ingress::measure(
                Duration::from_secs(seconds),
                connections,
                rounds,
            ))
        }
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn print(line: &str) {
    println!("{line}");
}
