//! A delivery partition's queue, looked at from outside.

use crate::connection::Broker;
use crate::error::BrokerError;

impl Broker {
    /// How full a delivery partition's queue is, in percent of the size at which it refuses.
    ///
    /// # Errors
    /// When the broker does not say.
    pub async fn delivery_percent(&self, partition: u32) -> Result<u64, BrokerError> {
        let name = self.names().delivery_stream(partition);
        let stream = self.stream_ref(&name).await?;
        let info = stream
            .get_info()
            .await
            .map_err(|error| BrokerError::request(format!("the state of {name}"), error))?;
        let max_bytes = u64::try_from(info.config.max_bytes).unwrap_or(u64::MAX);
        Ok(info.state.bytes.saturating_mul(100) / max_bytes.max(1))
    }
}
