//! The keys of an installation: the first one seals, all open.

use std::fmt;
use std::sync::Arc;

use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead, Payload};

use crate::error::{KeyRingError, OpenError, SealError};
use crate::key::SealingKey;
use crate::place::Place;
use crate::sealed::{NONCE_BYTES, Sealed};

/// Most keys of a ring: old ones are there until a re-key has replaced them.
const MAX_KEYS: usize = 32;

/// Keys, the newest first. A cheap clone. Without any it opens values in clear only, and seals nothing.
#[derive(Clone, Default)]
pub struct KeyRing(Arc<[SealingKey]>);

impl KeyRing {
    /// Reads keys, `id:key` each, on lines of their own or separated by commas. Empty lines and lines that
    /// begin with `#` count for nothing.
    ///
    /// # Errors
    /// [`KeyRingError`], which shows nothing of a key.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let items = lines.flat_map(|line| line.split(',')).map(str::trim);
        let mut keys: Vec<SealingKey> = Vec::new();
        for (item, number) in items.filter(|item| !item.is_empty()).zip(1..) {
            let key = SealingKey::read(item).ok_or(KeyRingError::Unreadable { number })?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(KeyRingError::Twice(key.id));
            }
            if number > MAX_KEYS {
                return Err(KeyRingError::TooMany(MAX_KEYS));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(KeyRingError::Empty);
        }
        Ok(Self(keys.into()))
    }

    /// The id of the key that seals.
    pub fn sealing_key(&self) -> Option<&str> {
        self.0.first().map(|key| key.id.as_str())
    }

    /// Whether it has a key of this id.
    pub fn holds(&self, key_id: &str) -> bool {
        self.key(key_id).is_some()
    }

    /// Seals a value for its place. The nonce is random, and used once.
    ///
    /// # Errors
    /// Where the ring is empty, or the value larger than any secret.
    pub fn seal(
        &self,
        place: Place<'_>,
        plain: &[u8],
        nonce: [u8; NONCE_BYTES],
    ) -> Result<String, SealError> {
        let key = self.0.first().ok_or(SealError::NoKey)?;
        let associated = place.associated();
        let payload = Payload {
            msg: plain,
            aad: &associated,
        };
        let ciphertext = key.cipher().encrypt(&XNonce::from(nonce), payload);
        let sealed = Sealed {
            key_id: &key.id,
            nonce,
            ciphertext: ciphertext.map_err(|_| SealError::TooLarge)?,
        };
        Ok(sealed.write())
    }

    /// The value that was sealed for this place; one that never was is given back as it is.
    ///
    /// # Errors
    /// Where the key is not in the ring, or the text not what it sealed for this place.
    pub fn open(&self, place: Place<'_>, stored: &str) -> Result<Vec<u8>, OpenError> {
        let Some(sealed) = Sealed::read(stored) else {
            return Ok(stored.as_bytes().to_vec());
        };
        let unknown = || OpenError::UnknownKey(sealed.key_id.to_owned());
        let key = self.key(sealed.key_id).ok_or_else(unknown)?;
        let associated = place.associated();
        let payload = Payload {
            msg: &sealed.ciphertext,
            aad: &associated,
        };
        let opened = key.cipher().decrypt(&XNonce::from(sealed.nonce), payload);
        opened.map_err(|_| OpenError::Forged(sealed.key_id.to_owned()))
    }

    /// As [`KeyRing::open`], for values that are text.
    ///
    /// # Errors
    /// As [`KeyRing::open`].
    pub fn open_text(&self, place: Place<'_>, stored: &str) -> Result<String, OpenError> {
        let forged = || OpenError::Forged(crate::sealed_by(stored).unwrap_or_default().to_owned());
        String::from_utf8(self.open(place, stored)?).map_err(|_| forged())
    }

    fn key(&self, key_id: &str) -> Option<&SealingKey> {
        self.0.iter().find(|key| key.id == key_id)
    }
}

impl PartialEq for KeyRing {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(other.0.iter()).all(|(a, b)| a.same_as(b))
    }
}

impl Eq for KeyRing {}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.0.iter().map(|key| key.id.as_str());
        f.debug_list().entries(ids).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{key_line, sealed_by};

    const PLACE: Place<'static> = Place {
        table: "secrets",
        row: "sec_1",
        field: "value",
    };

    fn line(id: &str, byte: u8) -> String {
        key_line(id, &[byte; 32])
    }

    fn ring(lines: &[String]) -> KeyRing {
        KeyRing::parse(&lines.join("\n")).unwrap()
    }

    #[test]
    fn what_is_sealed_is_opened_by_the_same_key_at_the_same_place() {
        let old = ring(&[line("old", 1)]);
        let both = ring(&[line("new", 2), line("old", 1)]);
        let sealed = old.seal(PLACE, b"hunter2-hunter2", [7; 24]).unwrap();
        assert!(sealed.starts_with("v1:old:") && !sealed.contains("hunter2"));
        assert_eq!(sealed_by(&sealed), Some("old"));
        assert_eq!(both.open_text(PLACE, &sealed).unwrap(), "hunter2-hunter2");
        let again = both.seal(PLACE, b"hunter2-hunter2", [8; 24]).unwrap();
        assert_eq!(sealed_by(&again), Some("new"));
        let unknown = OpenError::UnknownKey("new".to_owned());
        assert_eq!(old.open(PLACE, &again), Err(unknown));
    }

    #[test]
    fn what_was_moved_changed_or_sealed_by_another_key_is_not_opened() {
        let one = ring(&[line("k", 1)]);
        let sealed = one.seal(PLACE, b"value", [7; 24]).unwrap();
        let forged = Err(OpenError::Forged("k".to_owned()));
        for place in [
            Place {
                row: "sec_2",
                ..PLACE
            },
            Place {
                field: "other",
                ..PLACE
            },
            Place {
                table: "other",
                ..PLACE
            },
        ] {
            assert_eq!(one.open(place, &sealed), forged, "{place:?}");
        }
        let other = ring(&[line("k", 2)]);
        assert_eq!(other.open(PLACE, &sealed), forged);
        let last = if sealed.ends_with('A') { "B" } else { "A" };
        let changed = format!("{}{last}", &sealed[..sealed.len() - 2]) + &sealed[sealed.len() - 1..];
        assert_eq!(one.open(PLACE, &changed), forged);
    }

    #[test]
    fn a_value_in_clear_is_given_back_as_it_is() {
        let one = ring(&[line("k", 1)]);
        for plain in [
            "hunter2",
            "v1:k:x:y",
            "v1:k",
            "",
            "v2:k:AAAA:AAAA",
            "whsec_a:b:c:d",
        ] {
            assert_eq!(one.open_text(PLACE, plain).unwrap(), plain);
            assert_eq!(sealed_by(plain), None, "{plain}");
        }
    }

    #[test]
    fn a_ring_is_read_from_lines_or_commas_and_shows_only_ids() {
        let text = format!(
            "# newest first\n\n{}\n{},{}\n",
            line("c", 3),
            line("b", 2),
            line("a", 1)
        );
        let read = KeyRing::parse(&text).unwrap();
        assert_eq!(read.sealing_key(), Some("c"));
        assert!(read.holds("a") && !read.holds("d"));
        assert_eq!(format!("{read:?}"), r#"["c", "b", "a"]"#);
        let standard = "k:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        assert!(KeyRing::parse(standard).is_ok());
    }

    #[test]
    fn what_is_no_ring_is_refused_without_showing_a_key() {
        let check = |text: &str, expected: KeyRingError| {
            assert_eq!(KeyRing::parse(text).unwrap_err(), expected);
        };
        check("# nothing\n", KeyRingError::Empty);
        check("justakey", KeyRingError::Unreadable { number: 1 });
        check(
            &format!("{}\nk:c2hvcnQ=", line("a", 1)),
            KeyRingError::Unreadable { number: 2 },
        );
        check(&line("a b", 1), KeyRingError::Unreadable { number: 1 });
        check(
            &[line("a", 1), line("a", 2)].join(","),
            KeyRingError::Twice("a".to_owned()),
        );
        let many: Vec<String> = (0..40).map(|n| line(&format!("k{n}"), n)).collect();
        check(&many.join("\n"), KeyRingError::TooMany(32));
    }

    #[test]
    fn without_keys_nothing_is_sealed() {
        assert_eq!(
            KeyRing::default().seal(PLACE, b"x", [0; 24]),
            Err(SealError::NoKey)
        );
        assert_eq!(KeyRing::default().open(PLACE, "plain").unwrap(), b"plain");
    }
}
