//! Why a worker leaves a partition without having been asked to.

use hookrail_broker::ReaderError;

/// The partition is given up: nothing more is written for it, and it is claimed again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GiveUp {
    /// The lease has run out, or was ended.
    #[error("the lease is over")]
    LeaseOver,
    /// The broker or the database knows a newer owner.
    #[error("a newer owner has the partition")]
    Replaced,
}

impl GiveUp {
    /// Reading the partition failed; `Ok` means that it may be tried again.
    pub(crate) fn of_reader(error: ReaderError) -> Result<hookrail_broker::BrokerError, Self> {
        match error {
            ReaderError::Broker(error) => Ok(error),
            _ => Err(Self::Replaced),
        }
    }
}
