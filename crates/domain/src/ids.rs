//! Ids: a prefix that names the kind and a ULID (<https://github.com/ulid/spec>).
//!
//! An id is a `u128` in memory and its prefixed text everywhere else. Ids made here are given their
//! time and randomness; nothing in this module draws any.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use ulid::Ulid;

use crate::Millis;

/// Bits of a ULID that are random (the other 48 are its time).
const RANDOM_BITS: u32 = 80;
/// Bits of an event id's random part that carry its raw partition.
const PARTITION_BITS: u32 = 10;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not an id of the form {prefix}<ULID>")]
pub struct IdError {
    prefix: &'static str,
}

/// What every kind of id has in common.
pub trait Id: Copy + Ord + fmt::Display + FromStr<Err = IdError> {
    /// The text before the ULID, with its underscore.
    const PREFIX: &'static str;
    /// The id that was made at `at` with the low 80 bits of `random`.
    fn from_parts(at: Millis, random: u128) -> Self;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The id with exactly these bits.
            pub const fn from_u128(bits: u128) -> Self {
                Self(bits)
            }

            /// The id's 128 bits: 48 of time, 80 of randomness or hash.
            pub const fn as_u128(self) -> u128 {
                self.0
            }

            /// The moment that the id carries.
            pub fn time(self) -> Millis {
                (self.0 >> RANDOM_BITS) as Millis
            }
        }

        impl Id for $name {
            const PREFIX: &'static str = $prefix;

            fn from_parts(at: Millis, random: u128) -> Self {
                Self(Ulid::from_parts(at.max(0) as u64, random).0)
            }
        }

        impl From<u128> for $name {
            fn from(bits: u128) -> Self {
                Self(bits)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, Ulid(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_ulid(text, $prefix).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A workspace (tenant).
    WorkspaceId = "wsp_";
    /// A source.
    SourceId = "src_";
    /// A destination.
    DestinationId = "dst_";
    /// A route.
    RouteId = "rte_";
    /// A fetcher.
    FetcherId = "ftc_";
    /// An event type of one's own.
    EventTypeId = "ety_";
    /// An event.
    EventId = "evt_";
    /// A delivery.
    DeliveryId = "dlv_";
    /// A sync.
    SyncId = "syn_";
    /// A sync run.
    RunId = "run_";
    /// A replay.
    ReplayId = "rpl_";
    /// An import.
    ImportId = "imp_";
    /// An API key of a source, or an access token of the API.
    KeyId = "key_";
    /// A secret of a definition.
    SecretId = "sec_";
    /// An entry of the audit log.
    AuditId = "aud_";
    /// A connection to an SQL database that syncs read.
    ConnectionId = "con_";
}

fn parse_ulid(text: &str, prefix: &'static str) -> Result<u128, IdError> {
    let wrong = IdError { prefix };
    let body = text.strip_prefix(prefix).ok_or_else(|| wrong.clone())?;
    let ulid = Ulid::from_string(body).map_err(|_| wrong.clone())?;
    // Crockford's alphabet reads lower case and look-alikes too: one id has one text here.
    if ulid.to_string() == body {
        Ok(ulid.0)
    } else {
        Err(wrong)
    }
}

impl EventId {
    /// This id with `partition` written into the top bits of its random part, so that the event can
    /// be found in its partition's log before the journal has it. `partition` is below 1,024.
    pub fn with_partition(self, partition: u32) -> Self {
        let shift = RANDOM_BITS - PARTITION_BITS;
        let mask = ((1u128 << PARTITION_BITS) - 1) << shift;
        let bits = (u128::from(partition) << shift) & mask;
        Self((self.0 & !mask) | bits)
    }

    /// The raw partition that [`EventId::with_partition`] wrote.
    pub fn partition(self) -> u32 {
        ((self.0 >> (RANDOM_BITS - PARTITION_BITS)) & ((1 << PARTITION_BITS) - 1)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text() {
        let id = SourceId::from_parts(1_764_000_000_000, 42);
        let text = id.to_string();
        assert!(text.starts_with("src_") && text.len() == 30, "{text}");
        assert_eq!(text.parse::<SourceId>(), Ok(id));
        assert_eq!(id.time(), 1_764_000_000_000);
    }

    #[test]
    fn other_kinds_lower_case_and_junk_are_refused() {
        let text = SourceId::from_parts(1, u128::MAX).to_string();
        assert!(text.parse::<RouteId>().is_err());
        assert!(text.to_lowercase().parse::<SourceId>().is_err());
        for junk in ["", "src_", "src_!!", "src_01ARZ3NDEKTSV4RRFFQ69G5FAVX"] {
            assert!(junk.parse::<SourceId>().is_err(), "{junk}");
        }
    }

    #[test]
    fn an_event_id_carries_its_partition_and_keeps_its_time() {
        let id = EventId::from_parts(1_764_000_000_000, u128::MAX).with_partition(31);
        assert_eq!((id.partition(), id.time()), (31, 1_764_000_000_000));
        assert_eq!(id.with_partition(1023).partition(), 1023);
    }
}
