//! How full a stream is, asked from its leader.

use hookrail_domain::Millis;

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::message::milliseconds;

/// What a stream holds, and what it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamFill {
    /// Messages in it.
    pub messages: u64,
    /// Their size, as the broker counts it.
    pub bytes: u64,
    /// The size at which it refuses.
    pub max_bytes: u64,
    /// The lowest sequence still there; last + 1 when empty.
    pub first_sequence: u64,
    /// The highest sequence ever given.
    pub last_sequence: u64,
    /// When the lowest one still there was stored; long ago when empty.
    pub first_at: Millis,
}

impl StreamFill {
    /// How full it is, in percent of the size at which it refuses.
    pub fn percent(&self) -> u64 {
        let percent = u128::from(self.bytes) * 100 / u128::from(self.max_bytes.max(1));
        u64::try_from(percent).unwrap_or(u64::MAX)
    }
}

impl Broker {
    /// How full a raw partition is.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub async fn raw_state(&self, partition: u32) -> Result<StreamFill, BrokerError> {
        self.stream_fill(&self.names().raw_stream(partition)).await
    }

    /// How full a delivery partition's queue is.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub async fn delivery_state(&self, partition: u32) -> Result<StreamFill, BrokerError> {
        self.stream_fill(&self.names().delivery_stream(partition)).await
    }

    /// How full the stream of answers is.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub async fn responses_state(&self) -> Result<StreamFill, BrokerError> {
        self.stream_fill(&self.names().response_stream()).await
    }

    /// How full the object store is.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub async fn objects_state(&self) -> Result<StreamFill, BrokerError> {
        self.stream_fill(&self.names().object_stream()).await
    }

    /// How full the journal's stream is.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub async fn journal_state(&self) -> Result<StreamFill, BrokerError> {
        self.stream_fill(&self.names().journal_stream()).await
    }

    pub(crate) async fn stream_fill(&self, name: &str) -> Result<StreamFill, BrokerError> {
        let info = self.stream_ref(name).await?.get_info().await;
        let info = info.map_err(|error| BrokerError::request(format!("the state of {name}"), error))?;
        Ok(StreamFill {
            messages: info.state.messages,
            bytes: info.state.bytes,
            max_bytes: u64::try_from(info.config.max_bytes).unwrap_or(u64::MAX),
            first_sequence: info.state.first_sequence,
            last_sequence: info.state.last_sequence,
            first_at: milliseconds(info.state.first_timestamp),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_stream_has_a_percentage_too() {
        let fill = |bytes, max_bytes| StreamFill {
            messages: 1,
            bytes,
            max_bytes,
            first_sequence: 1,
            last_sequence: 1,
            first_at: 0,
        };
        for (bytes, max_bytes, expected) in [
            (85, 100, 85),
            (0, 0, 0),
            (u64::MAX / 2, u64::MAX, 49),
            (5, 0, 500),
        ] {
            assert_eq!(
                fill(bytes, max_bytes).percent(),
                expected,
                "{bytes} of {max_bytes}"
            );
        }
    }
}
