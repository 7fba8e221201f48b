//! Which verbs there are.

use clap::Subcommand;

use crate::apply::ApplyArgs;
use crate::deliveries::DeliveriesCommand;
use crate::destinations::DestinationsCommand;
use crate::entities::EntitiesCommand;
use crate::error::ClientError;
use crate::events::EventsCommand;
use crate::export::ExportArgs;
use crate::listen::ListenArgs;
use crate::rekey::RekeyArgs;
use crate::schema::SchemaArgs;
use crate::sources::SourcesCommand;

/// A verb that talks to the API.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// See and switch sources
    #[command(subcommand)]
    Sources(SourcesCommand),
    /// See, follow and replay events
    #[command(subcommand)]
    Events(EventsCommand),
    /// See entities
    #[command(subcommand)]
    Entities(EntitiesCommand),
    /// See, test and switch destinations
    #[command(subcommand)]
    Destinations(DestinationsCommand),
    /// See, retry, cancel and replay deliveries
    #[command(subcommand)]
    Deliveries(DeliveriesCommand),
    /// Send a source's events to a server on this machine, as they come
    Listen(Box<ListenArgs>),
    /// Make the definitions as a file says
    Apply(Box<ApplyArgs>),
    /// Write the definitions into a file for `apply`
    Export(Box<ExportArgs>),
    /// Seal all secrets with the newest key of the key ring, so that older keys can be removed
    Rekey(Box<RekeyArgs>),
    /// Print the JSON Schema of the file of `apply`
    Schema(Box<SchemaArgs>),
}

impl ClientCommand {
    /// Does it.
    ///
    /// # Errors
    /// [`ClientError`], which says what to tell the person.
    pub async fn run(self) -> Result<(), ClientError> {
        match self {
            Self::Sources(command) => command.run().await,
            Self::Events(command) => command.run().await,
            Self::Entities(command) => command.run().await,
            Self::Destinations(command) => command.run().await,
            Self::Deliveries(command) => command.run().await,
            Self::Listen(args) => args.run().await,
            Self::Apply(args) => args.run().await,
            Self::Export(args) => args.run().await,
            Self::Rekey(args) => args.run().await,
            Self::Schema(args) => args.run().await,
        }
    }
}
