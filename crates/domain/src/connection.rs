//! A connection: the definition of another database whose rows syncs read. What may be connected to, and reading
//! itself, is decided and done elsewhere.

pub mod database_url;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ids::{ConnectionId, WorkspaceId},
    secret::Secret,
    validation::{self, Faults, FieldError},
};
use database_url::DatabaseUrl;

/// A connection as it is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// The workspace that it belongs to.
    pub workspace: WorkspaceId,
    /// What its owner wrote.
    pub spec: ConnectionSpec,
}

/// What the owner of a connection writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSpec {
    /// Unique in the workspace.
    pub name: String,
    /// For people and tools.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `postgres://user:password@host:port/database`, `mysql://…`, or `sqlite://path` below the directory for them.
    /// Write-only.
    #[schema(value_type = String)]
    pub database_url: Secret,
}

impl ConnectionSpec {
    /// Refuses what can't be meant.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut faults = Faults::default();
        let name = "has to match [A-Za-z0-9][A-Za-z0-9_-]{0,63}";
        faults.require(validation::is_name(&self.name), "/name", name);
        validation::check_labels(&self.labels, &mut faults);
        if let Some(Err(error)) = self.database_url.value.as_deref().map(DatabaseUrl::parse) {
            faults.require(false, "/database_url", &error.to_string());
        }
        faults.finish()
    }

    /// Every secret in the definition.
    pub fn secrets_mut(&mut self) -> Vec<&mut Secret> {
        vec![&mut self.database_url]
    }
}
