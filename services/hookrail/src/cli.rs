//! The command line: which subcommands there are, and which groups of settings each takes. The settings themselves
//! are defined by their owners.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use hookrail_client::ClientCommand;
use hookrail_config::ConfigSettings;
use hookrail_dispatcher::DispatcherSettings;
use hookrail_ingress::IngressSettings;
use hookrail_processor::ProcessorSettings;
use hookrail_runtime::ListenAddress;
use hookrail_runtime::settings::{CommonArgs, HELP};

use crate::backup::{BackupArgs, RestoreArgs};
use crate::broker_args::BrokerArgs;
use crate::key_ring_args::KeyRingArgs;
use crate::nats_config::SyncInterval;
use crate::outbound_args::OutboundArgs;
use crate::store_args::StoreArgs;
use crate::sync_args::SyncArgs;

/// A self-hosted webhook gateway: takes webhooks in durably, turns them into entities, and sends webhooks out,
/// in order per key, until the receiver has them
#[derive(Debug, Parser)]
#[command(name = "hookrail", version, arg_required_else_help = true, after_help = OVERVIEW)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const OVERVIEW: &str = "Examples:
  hookrail up                        everything in one process, on this machine, with nothing else to set up
  hookrail up --data-dir /srv/hooks  the same, with its state kept there
  hookrail ingress --help            the settings of one service
  hookrail apply -f hooks.yaml       makes sources, destinations and routes as a file says
  hookrail events tail               shows events as they come (the API's verbs take HOOKRAIL_TOKEN, --api-url)

On a cluster each service runs by itself, any number of times, against one NATS and one PostgreSQL, with one key
ring (--key-ring-file) that secrets are sealed by:
  hookrail ingress    --nats-url nats://nats:4222
  hookrail processor  --nats-url nats://nats:4222 --database-url postgres://hookrail@db/hookrail
  hookrail dispatcher --nats-url nats://nats:4222
  hookrail config     --nats-url nats://nats:4222 --database-url postgres://hookrail@db/hookrail";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Service(ServiceCommand),
    #[command(flatten)]
    Client(Box<ClientCommand>),
    /// Copy the data directory of a `hookrail up` that is stopped
    Backup(BackupArgs),
    /// Make a data directory of a backup
    Restore(RestoreArgs),
    /// Print a script that completes this command line in a shell
    Completion {
        /// For which shell
        shell: Shell,
    },
}

/// What runs until it is stopped.
#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Run all four services in one process, with a private nats-server and SQLite
    #[command(after_help = UP_HELP)]
    Up(Box<UpArgs>),
    /// Run the ingress: takes webhooks in and answers once they are on disk
    #[command(after_help = HELP)]
    Ingress(Box<IngressArgs>),
    /// Run a processor: filters events, builds entities, plans deliveries, writes the journal
    #[command(after_help = HELP)]
    Processor(Box<ProcessorArgs>),
    /// Run a dispatcher: sends deliveries, in order per lane, until receivers have them
    #[command(after_help = HELP)]
    Dispatcher(Box<DispatcherArgs>),
    /// Run the config service: definitions, API, console
    #[command(after_help = HELP)]
    Config(Box<ConfigArgs>),
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Where all state is kept: broker, database, logs of nats-server, listen.json
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./hookrail-data",
        help_heading = "Process"
    )]
    pub(crate) data_dir: PathBuf,

    /// Where senders' webhooks are taken; port 0 = any free one, see listen.json
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8080",
        help_heading = "Listeners"
    )]
    pub(crate) ingress_listen: ListenAddress,

    /// Where the API is served
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8081",
        help_heading = "Listeners"
    )]
    pub(crate) api_listen: ListenAddress,

    /// Where /livez, /readyz and /metrics are served
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9464",
        help_heading = "Listeners"
    )]
    pub(crate) ops_listen: ListenAddress,

    /// The nats-server program to start, 2.12 or later [default: from PATH, or .tools/bin]
    #[arg(long, value_name = "PATH", help_heading = "NATS")]
    pub(crate) nats_server: Option<PathBuf>,

    /// When the private nats-server syncs to disk: `always`, or a duration. Only a power cut can lose what isn't synced
    #[arg(
        long,
        value_name = "always|DURATION",
        default_value = "2m",
        help_heading = "NATS"
    )]
    pub(crate) nats_sync: SyncInterval,

    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
    #[command(flatten)]
    pub(crate) key_ring: KeyRingArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) outbound: OutboundArgs,
    #[command(flatten)]
    pub(crate) sync: SyncArgs,
    #[command(flatten)]
    pub(crate) ingress: IngressSettings,
    #[command(flatten)]
    pub(crate) processor: ProcessorSettings,
    #[command(flatten)]
    pub(crate) dispatcher: DispatcherSettings,
    #[command(flatten)]
    pub(crate) config: ConfigSettings,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct IngressArgs {
    /// Where senders' webhooks are taken
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = ":8080",
        help_heading = "Listeners"
    )]
    pub(crate) ingress_listen: ListenAddress,

    /// Where /livez, /readyz and /metrics are served
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = ":9464",
        help_heading = "Listeners"
    )]
    pub(crate) ops_listen: ListenAddress,

    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
    #[command(flatten)]
    pub(crate) key_ring: KeyRingArgs,
    #[command(flatten)]
    pub(crate) outbound: OutboundArgs,
    #[command(flatten)]
    pub(crate) ingress: IngressSettings,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ProcessorArgs {
    /// Where /livez, /readyz and /metrics are served
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = ":9466",
        help_heading = "Listeners"
    )]
    pub(crate) ops_listen: ListenAddress,

    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
    #[command(flatten)]
    pub(crate) key_ring: KeyRingArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) outbound: OutboundArgs,
    #[command(flatten)]
    pub(crate) sync: SyncArgs,
    #[command(flatten)]
    pub(crate) processor: ProcessorSettings,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DispatcherArgs {
    /// Where /livez, /readyz and /metrics are served
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = ":9467",
        help_heading = "Listeners"
    )]
    pub(crate) ops_listen: ListenAddress,

    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
    #[command(flatten)]
    pub(crate) key_ring: KeyRingArgs,
    #[command(flatten)]
    pub(crate) outbound: OutboundArgs,
    #[command(flatten)]
    pub(crate) dispatcher: DispatcherSettings,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Where the API is served
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = ":8081",
        help_heading = "Listeners"
    )]
    pub(crate) api_listen: ListenAddress,

    /// Where /livez, /readyz and /metrics are served
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = ":9465",
        help_heading = "Listeners"
    )]
    pub(crate) ops_listen: ListenAddress,

    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
    #[command(flatten)]
    pub(crate) key_ring: KeyRingArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) outbound: OutboundArgs,
    #[command(flatten)]
    pub(crate) sync: SyncArgs,
    #[command(flatten)]
    pub(crate) config: ConfigSettings,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

const UP_HELP: &str = "Examples:
  hookrail up
  hookrail up --ingress-listen 127.0.0.1:0 --api-listen 127.0.0.1:0 --ops-listen 127.0.0.1:0
  hookrail up --nats-url nats://127.0.0.1:4222 --database-url postgres://postgres@127.0.0.1/hookrail

Every flag is also an environment variable (--nats-url is HOOKRAIL_NATS_URL) and a key of the TOML file of
--settings (nats_url). A flag goes before the environment, and the environment before the file. Any variable may
end in _FILE: then the value is read from the file that it names. Wrong settings end the process with code 64.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_flag_is_explained() {
        let mut command = Cli::command();
        command.build();
        for subcommand in command.get_subcommands() {
            for argument in subcommand.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    subcommand.get_name(),
                    argument.get_id()
                );
            }
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
