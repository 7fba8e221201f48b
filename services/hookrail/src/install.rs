//! The record that ties a broker and a database to one installation. A new broker under an old database would skip
//! events that were accepted; an old broker under a new database would send what was sent before. So both sides hold
//! the same random id, and a process that knows both refuses to start when they differ.

use std::time::Duration;

use hookrail_broker::{Broker, INSTALL_FORMAT_VERSION, Install};
use hookrail_runtime::{Readiness, SettingsError, random};
use hookrail_store::Store;
use hookrail_store::install::{InstallRow, find, has_definitions, insert_if_missing};

use crate::services::wrong_settings;

/// How often a service without a database looks whether somebody has installed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Checks that broker and database belong together; installs where both are new.
///
/// # Errors
/// A wrong setting, when they don't, or when either can't be read.
pub(crate) async fn match_up(broker: &Broker, store: &Store) -> anyhow::Result<()> {
    // The database's record is written first, so it is read last: a start beside this one can't look like a mismatch.
    let on_broker = broker.install().await.map_err(wrong_settings)?;
    let in_store = find(store.reader()).await?;
    let on_broker = match (on_broker, &in_store) {
        (Some(found), Some(_)) => found,
        (Some(found), None) => return Err(empty_database(&found).into()),
        (None, Some(row)) if has_definitions(store.reader()).await? => {
            // Another start may have installed, and made the first definitions, since the broker was asked.
            let installed = broker.install().await.map_err(wrong_settings)?;
            installed.ok_or_else(|| empty_broker(row))?
        }
        (None, _) => install(broker, store).await?,
    };
    broker.check_install(&on_broker).map_err(wrong_settings)?;
    match find(store.reader()).await? {
        Some(row) if row.id == on_broker.install_id => Ok(()),
        row => Err(different(&on_broker, row.as_ref()).into()),
    }
}

/// Waits until somebody has installed, for services that have no database.
///
/// # Errors
/// When the record contradicts the settings, or can't be read.
pub(crate) async fn wait_for(broker: &Broker, readiness: &Readiness) -> anyhow::Result<()> {
    loop {
        if let Some(found) = broker.install().await.map_err(wrong_settings)? {
            return broker.check_install(&found).map_err(wrong_settings);
        }
        readiness.not_ready("nothing is installed here yet: waiting for a config service or a processor");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Writes the record on both sides; where another start was first, its record stays.
async fn install(broker: &Broker, store: &Store) -> anyhow::Result<Install> {
    let wanted = InstallRow {
        id: random::hex_token::<16>(),
        prefix: broker.settings().prefix.clone(),
        partitions: i64::from(broker.settings().partitions),
        format_version: i64::from(INSTALL_FORMAT_VERSION),
    };
    let transaction = store.write().await?;
    insert_if_missing(&*transaction, &wanted).await?;
    transaction.commit().await?;
    let id = find(store.reader()).await?.map_or(wanted.id, |row| row.id);
    broker.create_install(&id).await.map_err(wrong_settings)
}

fn empty_database(found: &Install) -> SettingsError {
    let id = &found.install_id;
    let reason = format!(
        "is empty, but this NATS holds the installation {id}: restore its database, or use another --nats-prefix"
    );
    SettingsError::invalid("database-url", reason)
}

fn empty_broker(row: &InstallRow) -> SettingsError {
    let id = &row.id;
    let reason = format!(
        "this NATS is empty, but the database holds the installation {id}: restore its streams, or use another database"
    );
    SettingsError::invalid("nats-url", reason)
}

fn different(found: &Install, row: Option<&InstallRow>) -> SettingsError {
    let (ours, theirs) = (row.map_or("none", |row| row.id.as_str()), &found.install_id);
    let reason = format!("holds the installation {ours}, but this NATS holds {theirs}");
    SettingsError::invalid("database-url", reason)
}
