//! `hookrail sources …`: what is defined, how each is doing, and switching one on and off.

use clap::Subcommand;
use hookrail_domain::json::Json;

use crate::api::{Api, ApiArgs, encoded};
use crate::error::ClientError;
use crate::export::MOST;
use crate::output::{self, Column};

const LISTED: [Column; 5] = [
    ("name", "name"),
    ("id", "id"),
    ("enabled", "enabled"),
    ("ordering", "ordering.mode"),
    ("url", "ingest_url"),
];
const REJECTED: [Column; 4] = [
    ("time", "time"),
    ("code", "code"),
    ("address", "remote_addr"),
    ("detail", "detail"),
];

/// What can be done with sources.
#[derive(Debug, Subcommand)]
pub enum SourcesCommand {
    /// List them
    List {
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Show one
    Get(OneSource),
    /// Show how one is doing: its state, counters and warnings
    Status(OneSource),
    /// Show the last requests that one refused, and why
    Rejections(OneSource),
    /// Take webhooks
    Enable(OneSource),
    /// Refuse webhooks from now on
    Disable(OneSource),
}

/// Which source.
#[derive(Debug, clap::Args)]
pub struct OneSource {
    /// Its name or id
    name: String,
    #[command(flatten)]
    api: ApiArgs,
}

impl SourcesCommand {
    pub(crate) async fn run(self) -> Result<(), ClientError> {
        match self {
            Self::List { api } => {
                let items = api.connect()?.list("/sources", MOST).await?;
                output::items(&items, &LISTED, api.json);
            }
            Self::Get(one) => one.show("").await?,
            Self::Status(one) => one.show("/status").await?,
            Self::Rejections(one) => {
                let api = one.api.connect()?;
                let id = id_of(&api, "sources", "source", &one.name).await?;
                let page = api.get(&format!("/sources/{id}/rejections")).await?;
                let items = page.get("items").and_then(Json::as_array).unwrap_or_default();
                output::items(items, &REJECTED, one.api.json);
            }
            Self::Enable(one) => one.switch(true).await?,
            Self::Disable(one) => one.switch(false).await?,
        }
        Ok(())
    }
}

impl OneSource {
    async fn show(&self, part: &str) -> Result<(), ClientError> {
        let api = self.api.connect()?;
        let id = id_of(&api, "sources", "source", &self.name).await?;
        output::document(&api.get(&format!("/sources/{id}{part}")).await?, self.api.json);
        Ok(())
    }

    async fn switch(&self, enabled: bool) -> Result<(), ClientError> {
        let api = self.api.connect()?;
        let id = id_of(&api, "sources", "source", &self.name).await?;
        let patch = Json::from([("enabled", Json::from(enabled))]);
        api.patch(&format!("/sources/{id}"), &patch, None).await?;
        output::note(&format!(
            "{} is {}",
            self.name,
            if enabled { "enabled" } else { "disabled" }
        ));
        Ok(())
    }
}

/// The id of the definition with this name, or the id itself.
pub(crate) async fn id_of(
    api: &Api,
    path: &str,
    what: &'static str,
    name: &str,
) -> Result<String, ClientError> {
    if name.len() == 30 && name.as_bytes().get(3) == Some(&b'_') {
        match api.get(&format!("/{path}/{}", encoded(name))).await {
            Ok(_) => return Ok(name.to_owned()),
            Err(ClientError::Refused { status: 404, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let items = api.list(&format!("/{path}"), MOST).await?;
    let is_named = |item: &&Json| item.get("name").and_then(Json::as_str) == Some(name);
    let found = items
        .iter()
        .find(is_named)
        .and_then(|item| item.get("id")?.as_str().map(str::to_owned));
    found.ok_or_else(|| ClientError::Unknown {
        what,
        name: name.to_owned(),
    })
}
