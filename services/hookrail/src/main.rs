//! The binary: reads the settings, starts logging and the runtime, runs one subcommand, and says by its exit code how
//! that ended.

mod backup;
mod backup_files;
mod broker_args;
mod cli;
mod data_dir;
mod install;
mod key_ring_args;
mod leftover_server;
mod nats_config;
mod nats_program;
mod nats_server;
mod outbound_args;
mod services;
mod single;
mod store_args;
mod sync_args;
mod up;
mod welcome;

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::CommandFactory as _;
use hookrail_client::ClientError;
use hookrail_runtime::settings::{CommonArgs, EXIT_WRONG_SETTINGS, read_or_exit};
use hookrail_runtime::{ServiceContext, bootstrap, telemetry};

use crate::cli::{Cli, Command, ServiceCommand};

/// Many threads take and give back many small pieces: an allocator for that, and one whose memory does not
/// grow by fragments under days of load.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long tasks that did not finish in time may take to be dropped.
const LAST_TASKS: Duration = Duration::from_secs(2);

fn main() {
    // TLS has no provider of its own in this build. The only error is that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let command = match read_or_exit::<Cli>().command {
        Command::Client(command) => {
            let ended = block_on(command.run()).and_then(|ended| Ok(ended?));
            return exit(ended);
        }
        Command::Backup(args) => return exit(block_on(backup::backup(args)).and_then(|ended| ended)),
        Command::Restore(args) => return exit(block_on(backup::restore(args)).and_then(|ended| ended)),
        Command::Completion { shell } => return complete(shell),
        Command::Service(command) => command,
    };
    let result = run(command);
    let code = bootstrap::exit_code(&result);
    if let Err(error) = result {
        report(&error, code);
    }
    std::process::exit(code);
}

/// Does what ends by itself.
fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.context("can't start the runtime")?.block_on(work))
}

/// Ends the process, telling the person what went wrong.
fn exit(ended: anyhow::Result<()>) {
    let Err(error) = ended else { return };
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    let asked = error.downcast_ref::<ClientError>().map(ClientError::exit_code);
    std::process::exit(asked.unwrap_or_else(|| bootstrap::exit_code(&Err(error))));
}

/// Prints the script that completes the command line.
fn complete(shell: clap_complete::Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hookrail", &mut script);
    let _ = std::io::stdout().lock().write_all(&script);
}

fn run(command: ServiceCommand) -> anyhow::Result<()> {
    let (name, common) = command.process();
    telemetry::start(name, &common.log_level)?;
    let context = ServiceContext::new(Duration::from_millis(common.shutdown_grace_ms));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("can't start the runtime")?;
    let result = runtime.block_on(serve(command, context));
    // Where the grace period was exceeded, tasks are dropped here, and the private nats-server with its task.
    runtime.shutdown_timeout(LAST_TASKS);
    result
}

async fn serve(command: ServiceCommand, context: ServiceContext) -> anyhow::Result<()> {
    match command {
        ServiceCommand::Up(args) => Box::pin(up::run(*args, context)).await,
        ServiceCommand::Ingress(args) => Box::pin(single::ingress(*args, context)).await,
        ServiceCommand::Processor(args) => Box::pin(single::processor(*args, context)).await,
        ServiceCommand::Dispatcher(args) => Box::pin(single::dispatcher(*args, context)).await,
        ServiceCommand::Config(args) => Box::pin(single::config(*args, context)).await,
    }
}

impl ServiceCommand {
    /// The process's name in logs, and the settings that every process has.
    fn process(&self) -> (&'static str, CommonArgs) {
        match self {
            Self::Up(args) => ("up", args.common.clone()),
            Self::Ingress(args) => ("ingress", args.common.clone()),
            Self::Processor(args) => ("processor", args.common.clone()),
            Self::Dispatcher(args) => ("dispatcher", args.common.clone()),
            Self::Config(args) => ("config", args.common.clone()),
        }
    }
}

/// Wrong settings are told to the person who set them; all else goes to the log.
fn report(error: &anyhow::Error, code: i32) {
    if code == EXIT_WRONG_SETTINGS {
        // Nobody can be told that nobody can be told.
        let _ = writeln!(std::io::stderr(), "error: {error:#}");
        return;
    }
    tracing::error!(error = format!("{error:#}"), "ended by an error");
}
