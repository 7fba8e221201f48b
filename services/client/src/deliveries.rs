//! `hookrail deliveries …`: finding deliveries, and what a person can do with them.

use clap::Subcommand;
use hookrail_domain::json::Json;

use crate::api::{Api, ApiArgs, encoded, query};
use crate::error::ClientError;
use crate::output::{self, Column};
use crate::replay::{self, Asked};
use crate::sources::id_of;

const LISTED: [Column; 6] = [
    ("accepted", "accepted_at"),
    ("id", "id"),
    ("destination", "destination"),
    ("type", "event_type"),
    ("status", "status"),
    ("error", "error.code"),
];

/// What can be done with deliveries.
#[derive(Debug, Subcommand)]
pub enum DeliveriesCommand {
    /// Find deliveries, newest first
    List {
        #[command(flatten)]
        which: WhichDeliveries,
        /// Deliveries at the most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Show a delivery with its attempts
    Get(OneDelivery),
    /// Try a delivery that waits now
    Retry(OneDelivery),
    /// Call a delivery off
    Cancel(OneDelivery),
    /// Send deliveries again: dead ones, unless a status is given
    Replay {
        /// Their ids, in the place of a selection
        ids: Vec<String>,
        #[command(flatten)]
        which: WhichDeliveries,
        /// Only count them, and show some
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// Which delivery.
#[derive(Debug, clap::Args)]
pub struct OneDelivery {
    /// Its id
    id: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// A selection of deliveries.
#[derive(Debug, clap::Args)]
pub struct WhichDeliveries {
    /// To this destination: its name or id
    #[arg(long, value_name = "DESTINATION")]
    destination: Option<String>,
    /// Of events of this source: its name or id
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Of this event
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// With this status: pending, parked, delivered, dead or cancelled
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Of events accepted at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Of events accepted before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl DeliveriesCommand {
    pub(crate) async fn run(self) -> Result<(), ClientError> {
        match self {
            Self::List { which, limit, api } => {
                let connected = api.connect()?;
                let parts = which.parts(&connected).await?;
                let path = format!("/deliveries{}", query(&borrowed(&parts)));
                output::items(&connected.list(&path, limit).await?, &LISTED, api.json);
            }
            Self::Get(one) => {
                let path = format!("/deliveries/{}", encoded(&one.id));
                output::document(&one.api.connect()?.get(&path).await?, one.api.json);
            }
            Self::Retry(one) => one.command("retry").await?,
            Self::Cancel(one) => one.command("cancel").await?,
            Self::Replay {
                ids,
                which,
                dry_run,
                api,
            } => {
                let connected = api.connect()?;
                let parts = which.parts(&connected).await?;
                let filter = replay::filter(&borrowed(&parts));
                let asked = Asked {
                    what: "deliveries",
                    filter,
                    ids,
                    dry_run,
                };
                replay::run(&connected, asked, api.json).await?;
            }
        }
        Ok(())
    }
}

type Parts = [(&'static str, Option<String>); 6];

fn borrowed(parts: &Parts) -> Vec<(&str, Option<&str>)> {
    parts
        .iter()
        .map(|(name, value)| (*name, value.as_deref()))
        .collect()
}

impl WhichDeliveries {
    async fn parts(&self, api: &Api) -> Result<Parts, ClientError> {
        let destination = match &self.destination {
            Some(name) => Some(id_of(api, "destinations", "destination", name).await?),
            None => None,
        };
        let source = match &self.source {
            Some(name) => Some(id_of(api, "sources", "source", name).await?),
            None => None,
        };
        Ok([
            ("destination", destination),
            ("source", source),
            ("event", self.event.clone()),
            ("status", self.status.clone()),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
        ])
    }
}

impl OneDelivery {
    async fn command(&self, verb: &str) -> Result<(), ClientError> {
        let path = format!("/deliveries/{}/{verb}", encoded(&self.id));
        let answer = self.api.connect()?.post(&path, &Json::object()).await?;
        output::document(&answer, self.api.json);
        Ok(())
    }
}
