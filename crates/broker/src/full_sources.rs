//! The paused sources that hold as much as they may: said by the one processor that looks at what is held, and
//! looked up by every ingress. Kept beside the definitions, since the ingress has no database.

use std::collections::BTreeSet;

use bytes::Bytes;
use hookrail_domain::ids::SourceId;

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::names::KEY_FULL_SOURCES;

/// Sources that are named at the most: each of them holds as much as a source may, so there are few.
const FULL_MAX: usize = 10_000;

impl Broker {
    /// The sources that are full, asked from the leader; none before any was.
    ///
    /// # Errors
    /// The broker can't be asked now, or what it has is no list of sources.
    pub async fn full_sources(&self) -> Result<BTreeSet<SourceId>, BrokerError> {
        let bucket = self.names().config_bucket();
        let Some(entry) = self.key_read(&bucket, KEY_FULL_SOURCES).await? else {
            return Ok(BTreeSet::new());
        };
        read(&entry.value).ok_or_else(|| BrokerError::Unreadable {
            what: KEY_FULL_SOURCES.to_owned(),
            reason: "it is no list of sources".to_owned(),
        })
    }

    /// Says which sources are full, in the place of what was said before. On disk when this returns.
    ///
    /// # Errors
    /// The broker did not confirm it.
    pub async fn set_full_sources(&self, full: &BTreeSet<SourceId>) -> Result<(), BrokerError> {
        let bucket = self.names().config_bucket();
        self.key_write(&bucket, KEY_FULL_SOURCES, write(full))
            .await
            .map(drop)
    }
}

fn write(full: &BTreeSet<SourceId>) -> Bytes {
    let ids: Vec<String> = full.iter().take(FULL_MAX).map(SourceId::to_string).collect();
    Bytes::from(ids.join("\n"))
}

fn read(value: &[u8]) -> Option<BTreeSet<SourceId>> {
    let text = std::str::from_utf8(value).ok()?;
    text.lines().map(|id| id.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_back_and_nothing_else() {
        for count in [0, 1, 3] {
            let full: BTreeSet<SourceId> = (0..count).map(SourceId::from_u128).collect();
            assert_eq!(read(&write(&full)), Some(full));
        }
        for other in [&b"x"[..], b"\xff", b"src_1\n\n"] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }
}
