//! The secret by which late answers are asked for: made once, the same for all of an installation's
//! ingresses, kept beside the definitions, sealed.

use bytes::Bytes;
use hookrail_domain::respond::{LATE_KEY_BYTES, LateKey};
use hookrail_keyring::{NONCE_BYTES, Place, SealError};

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::key_value::KeyEntry;
use crate::names::KEY_LATE_ANSWERS;

/// Where it belongs, for whoever seals it.
const PLACE: Place<'static> = Place {
    table: "CFG",
    row: KEY_LATE_ANSWERS,
    field: "value",
};

impl Broker {
    /// The installation's key; `random` is it where there is none yet, sealed with `nonce`.
    ///
    /// # Errors
    /// The broker can't be asked, or what it has is no key or sealed by one that the key ring lacks.
    pub async fn late_key(
        &self,
        random: [u8; LATE_KEY_BYTES],
        nonce: [u8; NONCE_BYTES],
    ) -> Result<LateKey, BrokerError> {
        let bucket = self.names().config_bucket();
        if self.key_read(&bucket, KEY_LATE_ANSWERS).await?.is_none() {
            // Another start may be faster: then its key is the one.
            let value = self.seal_late_key(&random, nonce)?;
            self.key_write_expecting(&bucket, KEY_LATE_ANSWERS, value, 0)
                .await?;
        }
        let found = self.key_read(&bucket, KEY_LATE_ANSWERS).await?;
        self.open_late_key(&found.ok_or_else(|| unreadable("it was removed"))?)
            .map(LateKey::new)
    }

    /// Seals the installation's key with the newest key of the ring, where another one sealed it, or none.
    /// Gives whether that was needed.
    ///
    /// # Errors
    /// As [`Broker::late_key`].
    pub async fn reseal_late_key(&self, nonce: [u8; NONCE_BYTES]) -> Result<bool, BrokerError> {
        let newest = self.settings().key_ring.sealing_key();
        let sealed_by = self.late_key_sealed_by().await?;
        if sealed_by.is_none_or(|key| key.as_deref() == newest) {
            return Ok(false);
        }
        let bucket = self.names().config_bucket();
        let Some(found) = self.key_read(&bucket, KEY_LATE_ANSWERS).await? else {
            return Ok(false);
        };
        let value = self.seal_late_key(&self.open_late_key(&found)?, nonce)?;
        // Who was faster sealed it too.
        self.key_write_expecting(&bucket, KEY_LATE_ANSWERS, value, found.revision)
            .await?;
        Ok(true)
    }

    fn seal_late_key(&self, key: &[u8], nonce: [u8; NONCE_BYTES]) -> Result<Bytes, BrokerError> {
        let sealed = self.settings().key_ring.seal(PLACE, key, nonce);
        let refused = |error: SealError| BrokerError::Settings(format!("key_ring: {error}"));
        sealed.map(Bytes::from).map_err(refused)
    }

    /// A key of an older version lies there in clear: just its bytes.
    fn open_late_key(&self, found: &KeyEntry) -> Result<[u8; LATE_KEY_BYTES], BrokerError> {
        if let Ok(bytes) = <[u8; LATE_KEY_BYTES]>::try_from(found.value.as_ref()) {
            return Ok(bytes);
        }
        let text = std::str::from_utf8(&found.value).map_err(unreadable)?;
        let opened = self.settings().key_ring.open(PLACE, text).map_err(unreadable)?;
        let wrong = |_| unreadable(format!("it has not {LATE_KEY_BYTES} bytes"));
        <[u8; LATE_KEY_BYTES]>::try_from(opened).map_err(wrong)
    }
}

fn unreadable(reason: impl std::fmt::Display) -> BrokerError {
    BrokerError::Unreadable {
        what: "the key of late answers".to_owned(),
        reason: reason.to_string(),
    }
}
