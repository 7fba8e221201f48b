//! `hookrail entities …`: finding entities, reading one, its history, and removing one.

use clap::Subcommand;

use crate::api::{ApiArgs, encoded, query};
use crate::error::ClientError;
use crate::output::{self, Column};

const LISTED: [Column; 5] = [
    ("type", "type"),
    ("unique id", "unique_id"),
    ("title", "title"),
    ("version", "version"),
    ("updated", "updated_at"),
];
const VERSIONS: [Column; 4] = [
    ("at", "at"),
    ("change", "change"),
    ("version", "version"),
    ("event", "event_id"),
];

/// What can be done with entities.
#[derive(Debug, Subcommand)]
pub enum EntitiesCommand {
    /// Find entities
    List {
        /// Of this type
        #[arg(long = "type", value_name = "TYPE")]
        entity_type: Option<String>,
        /// With this unique id, or with these words in title and fields
        #[arg(long = "query", short, value_name = "TEXT")]
        text: Option<String>,
        /// Entities at the most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Show an entity
    Get(OneEntity),
    /// Show what an entity was
    History(OneEntity),
    /// Delete an entity; destinations are told
    Delete(OneEntity),
}

/// Which entity.
#[derive(Debug, clap::Args)]
pub struct OneEntity {
    /// Its type
    entity_type: String,
    /// Its unique id
    unique_id: String,
    #[command(flatten)]
    api: ApiArgs,
}

impl EntitiesCommand {
    pub(crate) async fn run(self) -> Result<(), ClientError> {
        match self {
            Self::List {
                entity_type,
                text,
                limit,
                api,
            } => {
                let parameters = query(&[("type", entity_type.as_deref()), ("q", text.as_deref())]);
                let items = api
                    .connect()?
                    .list(&format!("/entities{parameters}"), limit)
                    .await?;
                output::items(&items, &LISTED, api.json);
            }
            Self::Get(one) => output::document(&one.api.connect()?.get(&one.path()).await?, one.api.json),
            Self::History(one) => {
                let items = one
                    .api
                    .connect()?
                    .list(&format!("{}/history", one.path()), 1_000)
                    .await?;
                output::items(&items, &VERSIONS, one.api.json);
            }
            Self::Delete(one) => one.api.connect()?.delete(&one.path(), None).await?,
        }
        Ok(())
    }
}

impl OneEntity {
    fn path(&self) -> String {
        format!(
            "/entities/{}/{}",
            encoded(&self.entity_type),
            encoded(&self.unique_id)
        )
    }
}
