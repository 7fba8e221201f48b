//! The rows of a sync as they are read: entities, or rows of a connection. In the order of their keys' bytes, each as
//! the record that is made of it. What is done with them is decided elsewhere.

use hookrail_domain::{
    connection::database_url::DatabaseUrl,
    json::Json,
    sync::{SyncSpec, decide::RowHash, record},
};
use hookrail_outbound::{AddressPolicy, HostGuard};
use hookrail_store::{
    StoreError,
    foreign::{ForeignError, ForeignRow, ForeignRows, ForeignTarget, checked_path},
    queries::entity_rows::{self, SyncedEntity},
};

use crate::consume_partition::Workshop;

/// Entities read at once.
const ENTITIES_AT_ONCE: u32 = 500;
/// Bytes of a record, at the most; larger ones than a message takes go to the object store.
const MAX_RECORD_BYTES: usize = 4 * 1024 * 1024;

/// A row as it is now.
#[derive(Debug)]
pub(crate) struct InputRow {
    /// Its key.
    pub(crate) key: String,
    /// The values of its primary key: a JSON list.
    pub(crate) key_json: String,
    /// The members of its record, with their hash; or why it makes none.
    pub(crate) members: Result<(Vec<u8>, RowHash), String>,
    /// The version of the entity that it is.
    pub(crate) entity_version: Option<String>,
}

impl InputRow {
    /// Bytes that it takes in memory, roughly.
    pub(crate) fn size(&self) -> usize {
        self.members.as_ref().map_or(0, |(members, _)| members.len()) + self.key.len()
    }
}

/// Why rows can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// Hookrail's own database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The other database.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// It may not be read at all.
    #[error("{0}")]
    Refused(String),
}

/// What is read from.
pub(crate) enum Input {
    /// Entities, behind this unique id.
    Entities(Option<String>),
    /// Rows of a connection.
    Rows(Box<ForeignRows>),
}

/// Whose rows are read.
pub(crate) struct InputOf<'a> {
    pub(crate) workshop: &'a Workshop,
    pub(crate) workspace: &'a str,
    pub(crate) spec: &'a SyncSpec,
}

impl InputOf<'_> {
    /// Begins to read behind the key `after`.
    pub(crate) async fn open(&self, after: Option<String>) -> Result<Input, InputError> {
        let Some(id) = self.spec.from.connection else {
            return Ok(Input::Entities(after));
        };
        let snapshot = self.workshop.snapshots.current();
        let connection = snapshot.connection(id);
        let connection = connection.ok_or_else(|| refused("its connection was deleted"))?;
        let url = connection.spec.database_url.value.as_deref().unwrap_or_default();
        let url = DatabaseUrl::parse(url).map_err(|error| refused(&format!("database_url {error}")))?;
        let target = self.target(url).await?;
        let own = &self.workshop.store;
        let rows = ForeignRows::read(own, target, self.spec.from.clone(), after);
        Ok(Input::Rows(Box::new(rows)))
    }

    async fn target(&self, url: DatabaseUrl) -> Result<ForeignTarget, InputError> {
        let settings = &self.workshop.settings;
        if let DatabaseUrl::Sqlite(path) = &url {
            let directory = settings.sync_sqlite_dir.as_deref();
            let directory = directory.ok_or_else(|| {
                refused("SQLite files are read where the setting sync-sqlite-dir names a directory")
            })?;
            let path = checked_path(directory, path);
            return path
                .map(ForeignTarget::Sqlite)
                .map_err(|error| refused(&format!("database_url {error}")));
        }
        let guard = HostGuard::new(AddressPolicy::new(settings.sync_outbound_allow.clone()));
        let host = url
            .server()
            .map(|server| server.host.as_str())
            .unwrap_or_default();
        let addresses = guard.addresses(host).await;
        let addresses = addresses.map_err(|error| ForeignError::Away(error.to_string()))?;
        Ok(match url {
            DatabaseUrl::Mysql(server) => ForeignTarget::Mysql(server, addresses),
            DatabaseUrl::Postgres(server) => ForeignTarget::Postgres(server, addresses),
            DatabaseUrl::Sqlite(path) => ForeignTarget::Sqlite(path.into()),
        })
    }

    /// The next rows; `None` = there are no more.
    pub(crate) async fn next(&self, input: &mut Input) -> Result<Option<Vec<InputRow>>, InputError> {
        match input {
            Input::Entities(after) => {
                let entity_type = self.spec.from.entities.as_deref().unwrap_or_default();
                let reader = self.workshop.store.reader();
                let found = entity_rows::page(
                    reader,
                    self.workspace,
                    entity_type,
                    after.as_deref(),
                    ENTITIES_AT_ONCE,
                )
                .await?;
                let Some(last) = found.last() else { return Ok(None) };
                *after = Some(last.unique_id.clone());
                Ok(Some(
                    found.into_iter().map(|entity| self.of_entity(entity)).collect(),
                ))
            }
            Input::Rows(rows) => {
                let found = rows.next().await?;
                Ok(found.map(|rows| rows.into_iter().map(|row| self.of_row(row)).collect()))
            }
        }
    }

    fn of_entity(&self, entity: SyncedEntity) -> InputRow {
        let unique_id = || Json::from(vec![Json::from(entity.unique_id.as_str())]);
        let data: Result<Json, _> = entity.data.parse();
        let data = data.map_err(|error| format!("the entity can't be read: {error}"));
        let key = match &data {
            Ok(data) if !self.spec.from.primary_key.is_empty() => self.spec.key_of(data),
            _ => Some(unique_id()),
        };
        InputRow {
            members: data.and_then(|data| self.members(&data, key.is_some())),
            key_json: key.unwrap_or_else(unique_id).to_compact_string(),
            entity_version: Some(format!(
                "{}.{}",
                entity.version_partition, entity.version_sequence
            )),
            key: entity.unique_id,
        }
    }

    fn of_row(&self, row: ForeignRow) -> InputRow {
        let key = row.row.as_ref().ok().and_then(|row| self.spec.key_of(row));
        let members = row.row.and_then(|data| self.members(&data, key.is_some()));
        InputRow {
            key: row.key,
            key_json: key.unwrap_or_default().to_compact_string(),
            members,
            entity_version: None,
        }
    }

    fn members(&self, data: &Json, has_key: bool) -> Result<(Vec<u8>, RowHash), String> {
        if !has_key {
            let names = self.spec.from.primary_key.join(", ");
            return Err(format!("the row has no primary key: {names}"));
        }
        let members = self.spec.members_of(data, MAX_RECORD_BYTES);
        let members = members.map_err(|error| error.to_string())?;
        let hash = RowHash::of(&members);
        Ok((members, hash))
    }
}

fn refused(reason: &str) -> InputError {
    InputError::Refused(reason.to_owned())
}

/// The ordering key of a row, at a destination that keeps the order of keys: entities have the same as their events.
pub(crate) fn lane_key(spec: &SyncSpec, row_key: &str, key_json: &str) -> String {
    match &spec.from.entities {
        Some(entity_type) => format!("{entity_type}:{row_key}"),
        None => {
            let key: Json = key_json.parse().unwrap_or_default();
            hookrail_domain::ordering_key::bounded(record::key_text(&key))
        }
    }
}
