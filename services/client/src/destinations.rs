//! `hookrail destinations …`: what is defined, a test of one, its lanes, and switching one on and off.

use clap::Subcommand;
use hookrail_domain::json::{Json, Members};

use crate::api::{ApiArgs, query};
use crate::error::ClientError;
use crate::export::MOST;
use crate::output::{self, Column};
use crate::sources::id_of;

const LISTED: [Column; 6] = [
    ("name", "name"),
    ("id", "id"),
    ("enabled", "enabled"),
    ("method", "method"),
    ("url", "url"),
    ("events", "events"),
];
const LANES: [Column; 5] = [
    ("lane", "lane_id"),
    ("key", "key"),
    ("reason", "reason"),
    ("waiting", "waiting"),
    ("next", "next_at"),
];

/// What can be done with destinations.
#[derive(Debug, Subcommand)]
pub enum DestinationsCommand {
    /// List them
    List {
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Show one
    Get(OneDestination),
    /// Send one a sample, and show what it answered
    Test {
        #[command(flatten)]
        one: OneDestination,
        /// Of this event type [default: hookrail.ping]
        #[arg(long, value_name = "TYPE")]
        event_type: Option<String>,
    },
    /// Show the lanes of one that wait
    Lanes {
        #[command(flatten)]
        one: OneDestination,
        /// Lanes at the most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Send again what waits, and what comes
    Enable(OneDestination),
    /// Keep what comes until it is enabled again
    Disable(OneDestination),
}

/// Which destination.
#[derive(Debug, clap::Args)]
pub struct OneDestination {
    /// Its name or id
    name: String,
    #[command(flatten)]
    api: ApiArgs,
}

impl DestinationsCommand {
    pub(crate) async fn run(self) -> Result<(), ClientError> {
        match self {
            Self::List { api } => {
                let items = api.connect()?.list("/destinations", MOST).await?;
                output::items(&items, &LISTED, api.json);
                Ok(())
            }
            Self::Get(one) => one.show().await,
            Self::Test { one, event_type } => one.test(event_type.as_deref()).await,
            Self::Lanes { one, limit } => one.lanes(limit).await,
            Self::Enable(one) => one.switch(true).await,
            Self::Disable(one) => one.switch(false).await,
        }
    }
}

impl OneDestination {
    async fn show(&self) -> Result<(), ClientError> {
        let api = self.api.connect()?;
        let id = id_of(&api, "destinations", "destination", &self.name).await?;
        output::document(&api.get(&format!("/destinations/{id}")).await?, self.api.json);
        Ok(())
    }

    /// Ends with an error where the destination did not take it, so that scripts see it.
    async fn test(&self, event_type: Option<&str>) -> Result<(), ClientError> {
        let api = self.api.connect()?;
        let id = id_of(&api, "destinations", "destination", &self.name).await?;
        let mut body = Members::new();
        if let Some(event_type) = event_type {
            body.insert("event_type".to_owned(), event_type.into());
        }
        let attempt = api
            .post(&format!("/destinations/{id}/test"), &Json::Object(body))
            .await?;
        output::document(&attempt, self.api.json);
        let status = attempt
            .get("response")
            .and_then(|response| response.get("status"));
        let status = status.and_then(|status| status.to_string().parse::<u16>().ok());
        match status {
            Some(200..300) if attempt.get("error").is_none_or(Json::is_null) => Ok(()),
            Some(status) => Err(ClientError::Failed(format!("{} answered {status}", self.name))),
            None => Err(ClientError::Failed(format!("{} gave no answer", self.name))),
        }
    }

    async fn lanes(&self, limit: usize) -> Result<(), ClientError> {
        let api = self.api.connect()?;
        let id = id_of(&api, "destinations", "destination", &self.name).await?;
        let parameters = query(&[("state", Some("parked"))]);
        let items = api
            .list(&format!("/destinations/{id}/lanes{parameters}"), limit)
            .await?;
        output::items(&items, &LANES, self.api.json);
        Ok(())
    }

    async fn switch(&self, enabled: bool) -> Result<(), ClientError> {
        let api = self.api.connect()?;
        let id = id_of(&api, "destinations", "destination", &self.name).await?;
        let patch = Json::from([("enabled", Json::from(enabled))]);
        api.patch(&format!("/destinations/{id}?probe=false"), &patch, None)
            .await?;
        output::note(&format!(
            "{} is {}",
            self.name,
            if enabled { "enabled" } else { "disabled" }
        ));
        Ok(())
    }
}
