//! Tries parsers with mutated inputs, and a running installation with hostile requests.

mod hostile;
mod raw_http;
mod requests;

use clap::{Parser, Subcommand};
use hookrail_fuzz::{SEED, parsers, targets::TARGETS};

/// Find what breaks the parsers or the ingress
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Try every parser with its corpus and inputs made of it
    Parsers {
        /// Only this one
        #[arg(long)]
        target: Option<String>,
        /// Inputs made for each
        #[arg(long, default_value_t = 100_000)]
        mutations: u64,
        /// Another seed makes other inputs
        #[arg(long, default_value_t = SEED)]
        seed: u64,
    },
    /// Send hostile requests to a `hookrail up` of its own
    Requests(requests::Requests),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().what {
        What::Parsers {
            target,
            mutations,
            seed,
        } => try_parsers(target.as_deref(), mutations, seed),
        What::Requests(wanted) => {
            hookrail_harness::install_tls_provider();
            tokio::runtime::Runtime::new()?.block_on(requests::run(&wanted))
        }
    }
}

fn try_parsers(only: Option<&str>, mutations: u64, seed: u64) -> anyhow::Result<()> {
    // What a target panics with is told once, at the end.
    std::panic::set_hook(Box::new(|_| {}));
    for target in TARGETS
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == *name))
    {
        let tried = parsers::try_target(target, mutations, seed)?;
        print(&format!(
            "{:<12} {:>4} kept {:>9} made   longest {:>8.1} ms",
            target.0,
            tried.kept,
            tried.made,
            tried.longest.as_secs_f64() * 1000.0
        ));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "its summary is what it is for")]
fn print(line: &str) {
    println!("{line}");
}
