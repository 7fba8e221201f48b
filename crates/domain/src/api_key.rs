//! API keys of a source: what the sender shows to be let in. Only their SHA-256 is kept.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{Millis, ids::KeyId};

/// Most keys of one source.
pub const MAX_KEYS_PER_SOURCE: usize = 100;

/// One key of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// What its owner calls it.
    pub label: String,
    /// SHA-256 of the key's text.
    pub hash: [u8; 32],
    /// The end of the key's text, for people to tell keys apart.
    pub hint: String,
    /// When it was made.
    pub created_at: Millis,
}

/// SHA-256 of a key as the sender shows it.
pub fn hash_key(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Whether two texts are the same, in a time that does not tell where they differ.
pub fn same_text(shown: &[u8], wanted: &[u8]) -> bool {
    let hash = |text| Sha256::digest(text);
    hash(shown).ct_eq(&hash(wanted)).into()
}

/// The key among `keys` that `shown` is, comparing every one of them in constant time.
pub fn find_key<'a>(keys: &'a [ApiKey], shown: &str) -> Option<&'a ApiKey> {
    let hash = hash_key(shown);
    keys.iter().fold(None, |found, key| {
        let same: bool = key.hash.ct_eq(&hash).into();
        if same { Some(key) } else { found }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_text_only() {
        let key = |n: u128, text: &str| ApiKey {
            id: KeyId::from_u128(n),
            label: String::new(),
            hash: hash_key(text),
            hint: String::new(),
            created_at: 0,
        };
        let keys = [key(1, "one"), key(2, "two")];
        assert_eq!(find_key(&keys, "two").map(|k| k.id), Some(KeyId::from_u128(2)));
        assert_eq!(find_key(&keys, "Two"), None);
        assert_eq!(find_key(&[], "two"), None);
    }
}
