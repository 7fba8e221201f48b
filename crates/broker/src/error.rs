//! What can go wrong with the broker, as far as a caller would act differently.

/// A request to the broker failed, or the broker is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Settings that can't work; the text names them.
    #[error("broker settings: {0}")]
    Settings(String),
    /// No server could be reached or none accepted the credentials.
    #[error("can't connect to NATS: {0}")]
    Connect(String),
    /// An existing stream, bucket or consumer contradicts the settings.
    #[error("{stream}: {setting} is {found}, the settings want {wanted}")]
    Topology {
        /// The stream's name.
        stream: String,
        /// Which of its settings.
        setting: &'static str,
        /// Its value on the broker.
        found: String,
        /// The value by the settings.
        wanted: String,
    },
    /// The broker belongs to another installation, or to one with other partitions.
    #[error("this NATS holds another installation: {setting} is {found}, expected {wanted}")]
    Install {
        /// Which part of the record differs.
        setting: &'static str,
        /// Its value on the broker.
        found: String,
        /// The value expected.
        wanted: String,
    },
    /// A request failed or got no answer; trying again may help.
    #[error("{what}: {reason}")]
    Request {
        /// What was asked for.
        what: String,
        /// What the server or the client said.
        reason: String,
    },
    /// Something stored on the broker can't be read.
    #[error("{what} can't be read: {reason}")]
    Unreadable {
        /// The key or message.
        what: String,
        /// Why.
        reason: String,
    },
}

impl BrokerError {
    pub(crate) fn request(what: impl Into<String>, reason: impl std::fmt::Display) -> BrokerError {
        BrokerError::Request {
            what: what.into(),
            reason: reason.to_string(),
        }
    }
}

/// Why a partition's reader stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// The partition has a newer owner, or the lease is over: stop all work of the partition at
    /// once, write nothing more, and give the lease up.
    #[error("partition {partition} has a newer owner than epoch {epoch}")]
    Replaced {
        /// The partition.
        partition: u32,
        /// The epoch of the lease that is over.
        epoch: u64,
    },
    /// A write was refused since a newer owner has moved the partition's fence: as
    /// [`ReaderError::Replaced`], and the fence did its work.
    #[error("partition {partition}: a write of epoch {epoch} was refused by a newer fence")]
    Fenced {
        /// The partition.
        partition: u32,
        /// The epoch of the lease that is over.
        epoch: u64,
    },
    /// The broker could not be asked. The reader is still good: call again.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}
