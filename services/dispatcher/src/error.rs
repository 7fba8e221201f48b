//! Why a partition is given up. Whatever the cause, the answer is the same: stop sending, and take
//! the partition over again, from what the broker has.

use hookrail_broker::{BrokerError, PublishError, ReaderError};

/// Why a partition's task ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PartitionError {
    /// A newer owner has it, or the lease ran out.
    #[error("another worker may own the partition")]
    Replaced,
    /// A write was refused by the fence of a newer owner.
    #[error("a newer owner's fence refused a write")]
    Fenced,
    /// The broker refused or did not answer.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A record's fate is unknown, so nothing may be settled after it.
    #[error("the journal's record could not be published: {0}")]
    Publish(#[from] PublishError),
    /// A parked message that was counted is not there; what there is has to be counted anew.
    #[error("parked message {sequence} is gone")]
    Gone {
        /// Its sequence.
        sequence: u64,
    },
    /// A task beside the loop broke off.
    #[error("a task broke off: {0}")]
    Beside(String),
}

impl From<ReaderError> for PartitionError {
    fn from(error: ReaderError) -> Self {
        match error {
            ReaderError::Replaced { .. } => Self::Replaced,
            ReaderError::Fenced { .. } => Self::Fenced,
            ReaderError::Broker(error) => Self::Broker(error),
        }
    }
}
