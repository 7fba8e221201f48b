//! The record that ties a broker to one installation.
//!
//! The same id lies in the database. A new broker under an old database would skip accepted
//! events, an old broker under a new database would deliver them twice; so both sides are compared
//! at start, by the service that knows both.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::names::KEY_INSTALL;

/// The version of the stored formats that this build writes.
pub const INSTALL_FORMAT_VERSION: u32 = 1;

/// The installation's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Install {
    /// Random, made once.
    pub install_id: String,
    /// The prefix of all names.
    pub prefix: String,
    /// The number of raw and of delivery partitions.
    pub partitions: u32,
    /// The version of the stored formats.
    pub format_version: u32,
}

impl Broker {
    /// The record on the broker, none before the first start.
    pub async fn install(&self) -> Result<Option<Install>, BrokerError> {
        let bucket = self.names().config_bucket();
        match self.key_read(&bucket, KEY_INSTALL).await? {
            None => Ok(None),
            Some(entry) => {
                serde_json::from_slice(&entry.value)
                    .map(Some)
                    .map_err(|error| BrokerError::Unreadable {
                        what: "the installation's record".to_owned(),
                        reason: error.to_string(),
                    })
            }
        }
    }

    /// Writes a record under this connection's prefix and partitions if there is none. Gives the
    /// record that is there afterwards, which is another's where another start was first.
    pub async fn create_install(&self, install_id: &str) -> Result<Install, BrokerError> {
        let wanted = Install {
            install_id: install_id.to_owned(),
            prefix: self.names().prefix().to_owned(),
            partitions: self.settings().partitions,
            format_version: INSTALL_FORMAT_VERSION,
        };
        let value = serde_json::to_vec(&wanted).expect("a struct of text and numbers is JSON");
        let bucket = self.names().config_bucket();
        let written = self
            .key_write_expecting(&bucket, KEY_INSTALL, Bytes::from(value), 0)
            .await?;
        if written.is_some() {
            return Ok(wanted);
        }
        self.install().await?.ok_or_else(|| {
            BrokerError::request("creating the installation's record", "it was removed meanwhile")
        })
    }

    /// Refuses a record that this connection's settings contradict.
    pub fn check_install(&self, found: &Install) -> Result<(), BrokerError> {
        let differs = |setting, found: &dyn ToString, wanted: &dyn ToString| {
            Err(BrokerError::Install {
                setting,
                found: found.to_string(),
                wanted: wanted.to_string(),
            })
        };
        let (prefix, partitions) = (self.names().prefix(), self.settings().partitions);
        if found.prefix != prefix {
            return differs("prefix", &found.prefix, &prefix);
        }
        if found.partitions != partitions {
            return differs("partitions", &found.partitions, &partitions);
        }
        if found.format_version != INSTALL_FORMAT_VERSION {
            return differs("format_version", &found.format_version, &INSTALL_FORMAT_VERSION);
        }
        Ok(())
    }
}
