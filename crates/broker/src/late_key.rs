//! The secret by which late answers are asked for: made once, the same for all of an installation's
//! ingresses, kept beside the definitions.

use bytes::Bytes;
use hookrail_domain::respond::{LATE_KEY_BYTES, LateKey};

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::names::KEY_LATE_ANSWERS;

impl Broker {
    /// The installation's key; `random` is it where there is none yet.
    ///
    /// # Errors
    /// The broker can't be asked, or what it has is no key.
    pub async fn late_key(&self, random: [u8; LATE_KEY_BYTES]) -> Result<LateKey, BrokerError> {
        let bucket = self.names().config_bucket();
        let unreadable = || BrokerError::Unreadable {
            what: "the key of late answers".to_owned(),
            reason: format!("it has {LATE_KEY_BYTES} bytes"),
        };
        if self.key_read(&bucket, KEY_LATE_ANSWERS).await?.is_none() {
            // Another start may be faster: then its key is the one.
            let value = Bytes::copy_from_slice(&random);
            self.key_write_expecting(&bucket, KEY_LATE_ANSWERS, value, 0)
                .await?;
        }
        let found = self
            .key_read(&bucket, KEY_LATE_ANSWERS)
            .await?
            .ok_or_else(unreadable)?;
        let bytes = <[u8; LATE_KEY_BYTES]>::try_from(found.value.as_ref()).map_err(|_| unreadable())?;
        Ok(LateKey::new(bytes))
    }
}
