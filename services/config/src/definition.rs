//! What sources, destinations, routes and fetchers have in common: reading them from their tables, their secrets,
//! and how they are shown.

use hookrail_domain::Millis;
use hookrail_domain::connection::ConnectionSpec;
use hookrail_domain::destination::DestinationSpec;
use hookrail_domain::event_type::EventTypeSpec;
use hookrail_domain::fetcher::FetcherSpec;
use hookrail_domain::ids::{
    ConnectionId, DestinationId, EventTypeId, FetcherId, Id, RouteId, SourceId, SyncId,
};
use hookrail_domain::json::{Json, Members};
use hookrail_domain::render::format_millis;
use hookrail_domain::route::RouteSpec;
use hookrail_domain::secret::Secret;
use hookrail_domain::source::SourceSpec;
use hookrail_domain::sync::SyncSpec;
use hookrail_domain::validation::FieldError;
use hookrail_domain::workspace::Workspace;
use hookrail_keyring::KeyRing;
use hookrail_store::sea_orm::ConnectionTrait;
use hookrail_store::{DefinitionRow, DefinitionTable, definition_rows};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::json_body::read_json;
use crate::merge_patch::merge;
use crate::{sealed_secrets, secret_fields};

/// What an owner writes of one kind of definition.
pub(crate) trait Definable: Serialize + DeserializeOwned + Clone + PartialEq {
    /// Its ids.
    type Id: Id;
    /// Where it is kept.
    const TABLE: DefinitionTable;
    /// What it is called.
    const WHAT: &'static str;
    /// The URL's path of all of them.
    const PATH: &'static str;

    /// Its name, unique in the workspace.
    fn name(&self) -> &str;
    /// Refuses what can't be meant.
    fn check(&self) -> Result<(), Vec<FieldError>>;
    /// Every secret in it.
    fn secrets(&mut self) -> Vec<&mut Secret>;
    /// Sets what follows from what was written, before it is stored.
    fn derive(&mut self) {}
    /// The ids of the definitions that it needs.
    fn uses(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Definable for SourceSpec {
    type Id = SourceId;
    const TABLE: DefinitionTable = DefinitionTable::Sources;
    const WHAT: &'static str = "source";
    const PATH: &'static str = "/api/v1/sources";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), Vec<FieldError>> {
        self.validate()
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        self.secrets_mut()
    }

    fn uses(&self) -> Vec<String> {
        let fetcher = self.entity.as_ref().and_then(|rules| rules.fetcher);
        fetcher.map(|id| id.to_string()).into_iter().collect()
    }
}

impl Definable for DestinationSpec {
    type Id = DestinationId;
    const TABLE: DefinitionTable = DefinitionTable::Destinations;
    const WHAT: &'static str = "destination";
    const PATH: &'static str = "/api/v1/destinations";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), Vec<FieldError>> {
        self.validate()
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        self.secrets_mut()
    }

    fn derive(&mut self) {
        self.signing.derive();
    }
}

impl Definable for RouteSpec {
    type Id = RouteId;
    const TABLE: DefinitionTable = DefinitionTable::Routes;
    const WHAT: &'static str = "route";
    const PATH: &'static str = "/api/v1/routes";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), Vec<FieldError>> {
        self.validate()
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        Vec::new()
    }

    fn uses(&self) -> Vec<String> {
        let source = self.source.map(|id| id.to_string());
        let destination = self.destination.map(|id| id.to_string());
        source.into_iter().chain(destination).collect()
    }
}

impl Definable for FetcherSpec {
    type Id = FetcherId;
    const TABLE: DefinitionTable = DefinitionTable::Fetchers;
    const WHAT: &'static str = "fetcher";
    const PATH: &'static str = "/api/v1/fetchers";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), Vec<FieldError>> {
        self.validate()
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        self.secrets_mut()
    }
}

impl Definable for EventTypeSpec {
    type Id = EventTypeId;
    const TABLE: DefinitionTable = DefinitionTable::EventTypes;
    const WHAT: &'static str = "event type";
    const PATH: &'static str = "/api/v1/event-types";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), Vec<FieldError>> {
        self.validate()
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        Vec::new()
    }
}

impl Definable for ConnectionSpec {
    type Id = ConnectionId;
    const TABLE: DefinitionTable = DefinitionTable::Connections;
    const WHAT: &'static str = "connection";
    const PATH: &'static str = "/api/v1/connections";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), Vec<FieldError>> {
        self.validate()
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        self.secrets_mut()
    }
}

impl Definable for SyncSpec {
    type Id = SyncId;
    const TABLE: DefinitionTable = DefinitionTable::Syncs;
    const WHAT: &'static str = "sync";
    const PATH: &'static str = "/api/v1/syncs";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), Vec<FieldError>> {
        self.validate()
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        Vec::new()
    }

    fn uses(&self) -> Vec<String> {
        let connection = self.from.connection.map(|id| id.to_string());
        connection
            .into_iter()
            .chain([self.destination.to_string()])
            .collect()
    }
}

/// A definition as it is stored. Its secrets have their values only where they were asked for, by
/// [`Stored::find_with_secrets`]: without, it can be shown and checked, and can't be written.
#[derive(Debug, Clone)]
pub(crate) struct Stored<S> {
    /// Its row.
    pub(crate) row: DefinitionRow,
    /// What its owner wrote.
    pub(crate) spec: S,
}

impl<S: Definable> Stored<S> {
    /// Its id.
    pub(crate) fn id(&self) -> Result<S::Id, ApiError> {
        self.row.id.parse().map_err(|error| unreadable(&self.row, error))
    }

    /// The definition with this id, whoever wrote it; 404 where the workspace has none.
    pub(crate) async fn find<C: ConnectionTrait>(
        connection: &C,
        workspace_id: &str,
        id: &str,
    ) -> Result<Self, ApiError> {
        Self::look_up(connection, workspace_id, id)
            .await?
            .ok_or(ApiError::NotFound(S::WHAT))
    }

    /// As [`Stored::find`], with the values of its secrets.
    pub(crate) async fn find_with_secrets<C: ConnectionTrait>(
        connection: &C,
        key_ring: &KeyRing,
        workspace_id: &str,
        id: &str,
    ) -> Result<Self, ApiError> {
        let mut stored = Self::find(connection, workspace_id, id).await?;
        let known = sealed_secrets::of_owner(connection, key_ring, id).await?;
        secret_fields::fill_in(&mut stored.spec, &known);
        Ok(stored)
    }

    /// The definition with this id, where the workspace has one.
    pub(crate) async fn look_up<C: ConnectionTrait>(
        connection: &C,
        workspace_id: &str,
        id: &str,
    ) -> Result<Option<Self>, ApiError> {
        // What isn't an id is in no table; asking with it would only show a database its oddities.
        if id.parse::<S::Id>().is_err() {
            return Ok(None);
        }
        let Some(row) = definition_rows::find(connection, S::TABLE, workspace_id, id).await? else {
            return Ok(None);
        };
        let spec = read_spec::<S>(&row)?;
        Ok(Some(Self { row, spec }))
    }
}

/// What a row says, without secrets' values.
pub(crate) fn read_spec<S: Definable>(row: &DefinitionRow) -> Result<S, ApiError> {
    serde_json::from_str(&row.spec).map_err(|error| unreadable(row, error))
}

/// What every read of a definition shows: its fields, and who, when and which version.
pub(crate) fn show(row: &DefinitionRow, workspace: &Workspace) -> Members {
    let mut members = Members::new();
    members.insert("id".to_owned(), row.id.as_str().into());
    members.insert("workspace".to_owned(), workspace.code.as_str().into());
    if let Ok(Json::Object(fields)) = row.spec.parse::<Json>() {
        members.extend(fields);
    }
    members.insert("created_at".to_owned(), time(row.created_at));
    members.insert("updated_at".to_owned(), time(row.updated_at));
    members.insert("etag".to_owned(), etag(row).into());
    members
}

/// The version of a definition: it has another one after each change.
pub(crate) fn etag(row: &DefinitionRow) -> String {
    format!("r{}", row.revision)
}

/// A time as the API shows it.
pub(crate) fn time(at: Millis) -> Json {
    format_millis(at).into()
}

fn unreadable(row: &DefinitionRow, error: impl std::error::Error + Send + Sync + 'static) -> ApiError {
    ApiError::Internal(anyhow::Error::new(error).context(format!("the row {} can't be read", row.id)))
}

/// What a definition, read with its secrets, is after a merge patch: read, its secrets settled, checked.
pub(crate) fn patched<S: Definable>(stored: &Stored<S>, patch: &Json) -> Result<S, ApiError> {
    if patch.as_object().is_none() {
        return Err(ApiError::field("", "has to be an object"));
    }
    let before: Json = stored.row.spec.parse().unwrap_or_default();
    let mut spec: S = read_json(&merge(before, patch))?;
    let known = secret_fields::rows(&mut stored.spec.clone(), &stored.row.id);
    secret_fields::settle(&mut spec, &known)?;
    spec.check()?;
    Ok(spec)
}
