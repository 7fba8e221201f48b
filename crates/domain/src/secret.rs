//! Secrets inside definitions: write-only for clients, known by id, hint and expiry.
//!
//! A secret is *new* (a value, no id), *kept* (an id, no value: the stored one is meant) or
//! *resolved* (both). Serialising one never shows its value.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor},
    ser::SerializeStruct,
};

use crate::{Millis, ids::SecretId, render};

/// Longest accepted secret, bytes.
pub const MAX_SECRET_BYTES: usize = 16 * 1024;

/// A secret of a source or a destination.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret {
    /// Its id, once stored.
    pub id: Option<SecretId>,
    /// Its value, where known.
    pub value: Option<String>,
    /// When it stops being used; `None` = never.
    pub expires_at: Option<Millis>,
}

impl Secret {
    /// A new secret, not stored yet.
    pub fn new(value: impl Into<String>) -> Self {
        Self {
            id: None,
            value: Some(value.into()),
            expires_at: None,
        }
    }

    /// The value's last four characters, or none of them where it is too short to give any away.
    pub fn hint(&self) -> String {
        match self.value.as_deref().map(|value| value.chars().rev()) {
            Some(reversed) if reversed.clone().count() >= 12 => {
                let mut tail: Vec<char> = reversed.take(4).collect();
                tail.reverse();
                format!("…{}", tail.into_iter().collect::<String>())
            }
            _ => "…".to_owned(),
        }
    }

    /// The value while it is in use at `now`.
    pub fn active(&self, now: Millis) -> Option<&str> {
        let expired = self.expires_at.is_some_and(|at| at <= now);
        self.value.as_deref().filter(|_| !expired)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("id", &self.id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Secret", 3)?;
        out.serialize_field("id", &self.id)?;
        out.serialize_field("hint", &self.hint())?;
        out.serialize_field("expires_at", &self.expires_at.map(render::format_millis))?;
        out.end()
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret: its value as a string, or {\"id\": \"sec_…\"} to keep a stored one")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Secret, E> {
        if value.is_empty() || value.len() > MAX_SECRET_BYTES {
            return Err(E::custom("a secret has 1 to 16384 bytes"));
        }
        Ok(Secret::new(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        let mut secret = Secret::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "id" => secret.id = Some(map.next_value()?),
                "expires_at" => {
                    let text: Option<String> = map.next_value()?;
                    secret.expires_at = text.map(|t| read_time(&t)).transpose()?;
                }
                // What a read shows may be written back: it is derived, so it is not kept.
                "hint" => drop(map.next_value::<de::IgnoredAny>()?),
                other => return Err(de::Error::unknown_field(other, &["id", "hint", "expires_at"])),
            }
        }
        if secret.id.is_none() {
            Err(de::Error::missing_field("id"))
        } else {
            Ok(secret)
        }
    }
}

fn read_time<E: de::Error>(text: &str) -> Result<Millis, E> {
    render::parse_rfc3339(text).ok_or_else(|| E::custom("is not an RFC 3339 time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_never_serialised_or_printed() {
        let secret = Secret::new("whsec_averysecretvalue");
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!(json, r#"{"id":null,"hint":"…alue","expires_at":null}"#);
        assert!(!format!("{secret:?}").contains("secretvalue"));
    }

    #[test]
    fn a_short_value_gives_nothing_away() {
        assert_eq!(Secret::new("hunter2").hint(), "…");
    }

    #[test]
    fn what_a_read_shows_can_be_written_back() {
        let text = r#"{"id":"sec_01ARZ3NDEKTSV4RRFFQ69G5FAV","hint":"…alue","expires_at":null}"#;
        let secret: Secret = serde_json::from_str(text).unwrap();
        assert!(secret.id.is_some() && secret.value.is_none());
        assert!(serde_json::from_str::<Secret>("\"\"").is_err());
    }
}
