//! A sync: the definition of a replication of rows (the entities of a type, or a table or query of another
//! database) to a destination, in a mode.
//!
//! What is done with a row is decided in [`decide`], pages of two sorted lists are brought together in [`merge`],
//! what is sent is made in [`record`]. Reading, storing and sending are done elsewhere.

pub mod decide;
pub mod merge;
pub mod record;
mod rules;
pub mod schedule;
pub mod sql_text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ids::{ConnectionId, DestinationId, EventId, RunId, SyncId},
    mapping::Mapping,
    ownership::JOB_SHARDS,
};

/// The prefix of what a record says about itself, unless its receiver wants another one.
pub const META_PREFIX: &str = "_hookrail";

/// What of a sync's rows is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    /// New rows and changed ones.
    #[default]
    Upsert,
    /// New rows and changed ones, and the deletion of those that have gone.
    Mirror,
    /// Each row once, as it is when it is first seen.
    Append,
    /// Rows that are known already and have changed.
    Update,
    /// Each row once, under another word than `append`.
    Create,
    /// The deletion of rows that have gone.
    Delete,
}

impl SyncMode {
    /// The mode's word, which records carry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Mirror => "mirror",
            Self::Append => "append",
            Self::Update => "update",
            Self::Create => "create",
            Self::Delete => "delete",
        }
    }

    /// Whether rows that have gone are looked for.
    pub fn deletes(self) -> bool {
        matches!(self, Self::Mirror | Self::Delete)
    }

    /// The word for a row that is written at the receiver.
    pub fn write_word(self) -> &'static str {
        match self {
            Self::Mirror => "upsert",
            mode => mode.as_str(),
        }
    }
}

/// Where a sync's rows come from: entities of a type, or a table or query of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SyncOrigin {
    /// The entities of this type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<String>,
    /// A connection's rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub connection: Option<ConnectionId>,
    /// All rows of this table: `customers`, or `sales.customers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The rows of this SELECT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The columns that identify a row; with entities, the members that make their unique id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub primary_key: Vec<String>,
}

/// What the owner of a sync writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncSpec {
    /// Unique in the workspace.
    pub name: String,
    /// For people and tools.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Where rows come from.
    pub from: SyncOrigin,
    /// Where records go.
    #[schema(value_type = String)]
    pub destination: DestinationId,
    /// What is sent.
    #[serde(default)]
    pub mode: SyncMode,
    /// What a record is made of; absent = the whole row.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub mapping: Option<Mapping>,
    /// The prefix of what a record says about itself.
    #[serde(default = "default_prefix")]
    pub meta_prefix: String,
    /// When it runs: a cron pattern of five fields, UTC; absent = by hand only.
    #[serde(default)]
    pub schedule: Option<String>,
    /// Whether it runs.
    #[serde(default = "default_enabled")]
    pub enabled: bool,
}

fn default_prefix() -> String {
    META_PREFIX.to_owned()
}

fn default_enabled() -> bool {
    true
}

/// The shard of jobs that works on a sync: all runs of a sync are one owner's.
pub fn shard_of(sync: SyncId) -> u32 {
    (sync.as_u128() % u128::from(JOB_SHARDS)) as u32
}

/// The id of the run that a new event would be: its deliveries are found by it as those of an event are.
pub fn run_of(event: EventId) -> RunId {
    RunId::from_u128(event.with_partition(0).as_u128())
}

/// What stands in the place of an event in the deliveries of a run.
pub fn event_of(run: RunId) -> EventId {
    EventId::from_u128(run.as_u128())
}
