//! A mark in the journal's queues: whether all that was told before a moment has been written.

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::journal::JournalStream;
use crate::names::CONSUMER_JOURNAL;

/// The end of both queues at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalMark {
    journal: u64,
    dead: u64,
}

impl JournalMark {
    /// The end of the queues now.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub async fn now(broker: &Broker) -> Result<Self, BrokerError> {
        Ok(Self {
            journal: broker.last_sequence(&JournalStream::Journal.name(broker)).await?,
            dead: broker.last_sequence(&JournalStream::Dead.name(broker)).await?,
        })
    }

    /// Whether all up to the mark has been acknowledged, and so is in the store.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub async fn is_written(&self, broker: &Broker) -> Result<bool, BrokerError> {
        Ok(is_through(broker, JournalStream::Journal, self.journal).await?
            && is_through(broker, JournalStream::Dead, self.dead).await?)
    }
}

/// The consumer's floor, or that it has nothing: of an emptied queue the floor stays behind.
async fn is_through(broker: &Broker, stream: JournalStream, sequence: u64) -> Result<bool, BrokerError> {
    let name = stream.name(broker);
    let info = broker
        .stream_ref(&name)
        .await?
        .consumer_info(CONSUMER_JOURNAL)
        .await;
    let info =
        info.map_err(|error| BrokerError::request(format!("the journal's consumer of {name}"), error))?;
    let idle = info.num_pending == 0 && info.num_ack_pending == 0;
    Ok(idle || info.ack_floor.stream_sequence >= sequence)
}
