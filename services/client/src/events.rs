//! `hookrail events …`: finding events, reading one, following them as they come, processing some again.

use std::time::Duration;

use clap::Subcommand;
use hookrail_domain::json::Json;

use crate::api::{Api, ApiArgs, encoded, query};
use crate::error::ClientError;
use crate::listen::Follower;
use crate::output::{self, Column};
use crate::replay::{self, Asked};
use crate::sources::id_of;

const LISTED: [Column; 7] = [
    ("accepted", "accepted_at"),
    ("id", "id"),
    ("type", "event_type"),
    ("source", "source"),
    ("status", "status"),
    ("error", "error.code"),
    ("size", "size"),
];
/// How often it is looked for new events.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// Find events, newest first
    List {
        #[command(flatten)]
        which: WhichEvents,
        /// Events at the most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Show an event: its request, its payload, what became of it
    Get {
        /// Its id
        id: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Print an event's body as it was received
    Raw {
        /// Its id
        id: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Show events as they come, until Ctrl-C
    Tail {
        /// Only those of this source: its name or id
        #[arg(long, value_name = "SOURCE")]
        source: Option<String>,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Process events again by today's rules
    Replay {
        /// Their ids, in the place of a selection
        ids: Vec<String>,
        #[command(flatten)]
        which: WhichEvents,
        /// Only count them, and show some
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// A selection of events.
#[derive(Debug, clap::Args)]
pub struct WhichEvents {
    /// Of this source: its name or id
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// With this status: received, processed, filtered, failed or duplicate
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Accepted at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Accepted before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// About this entity: type/unique id
    #[arg(long, value_name = "TYPE/ID")]
    entity: Option<String>,
    /// Having to do with this text; with --since also by their bodies
    #[arg(long = "query", short, value_name = "TEXT")]
    text: Option<String>,
}

impl EventsCommand {
    pub(crate) async fn run(self) -> Result<(), ClientError> {
        match self {
            Self::List { which, limit, api } => {
                let connected = api.connect()?;
                let items = connected.list(&which.path(&connected).await?, limit).await?;
                output::items(&items, &LISTED, api.json);
            }
            Self::Get { id, api } => {
                output::document(
                    &api.connect()?.get(&format!("/events/{}", encoded(&id))).await?,
                    api.json,
                );
            }
            Self::Raw { id, api } => {
                output::raw(
                    &api.connect()?
                        .bytes(&format!("/events/{}/raw", encoded(&id)))
                        .await?,
                );
            }
            Self::Tail { source, api } => tail(source.as_deref(), &api).await?,
            Self::Replay {
                ids,
                which,
                dry_run,
                api,
            } => {
                let connected = api.connect()?;
                let filter = which.filter(&connected).await?;
                let asked = Asked {
                    what: "events",
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

impl WhichEvents {
    async fn source_id(&self, api: &Api) -> Result<Option<String>, ClientError> {
        match &self.source {
            Some(name) => id_of(api, "sources", "source", name).await.map(Some),
            None => Ok(None),
        }
    }

    async fn path(&self, api: &Api) -> Result<String, ClientError> {
        let source = self.source_id(api).await?;
        let parameters = query(&[
            ("source", source.as_deref()),
            ("status", self.status.as_deref()),
            ("since", self.since.as_deref()),
            ("until", self.until.as_deref()),
            ("entity", self.entity.as_deref()),
            ("q", self.text.as_deref()),
        ]);
        Ok(format!("/events{parameters}"))
    }

    async fn filter(&self, api: &Api) -> Result<Json, ClientError> {
        if self.text.is_some() || self.entity.is_some() {
            return Err(ClientError::Usage(
                "a replay selects by source, status and time, or by ids".to_owned(),
            ));
        }
        let source = self.source_id(api).await?;
        Ok(replay::filter(&[
            ("source", source.as_deref()),
            ("status", self.status.as_deref()),
            ("since", self.since.as_deref()),
            ("until", self.until.as_deref()),
        ]))
    }
}

/// Shows events from now on, in their order, each once it is processed.
async fn tail(source: Option<&str>, args: &ApiArgs) -> Result<(), ClientError> {
    let api = args.connect()?;
    let source = match source {
        Some(name) => Some(id_of(&api, "sources", "source", name).await?),
        None => None,
    };
    let mut follower = Follower::new(api, source);
    loop {
        for event in follower.next().await? {
            let cells = LISTED.iter().map(|(_, path)| output::cell(&event, path));
            match args.json {
                true => output::line(&event.to_string()),
                false => output::line(&cells.collect::<Vec<_>>().join("  ")),
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
