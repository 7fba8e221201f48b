//! Ordering keys as they are kept: what a sender put in place of one may be of any length, and a key
//! is repeated in every event, delivery and record of its lane.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// The longest ordering key that is kept as it is, bytes; as long as an entity's unique id may be.
pub const MAX_KEY_BYTES: usize = 512;

/// The key as it is kept: one that is too long is its SHA-256, `sha256:` and 64 hexadecimal digits,
/// which is the same for the same key wherever it was found.
pub fn bounded(key: String) -> String {
    if key.len() <= MAX_KEY_BYTES {
        return key;
    }
    format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(key.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_as_it_is_up_to_the_limit_and_as_its_hash_beyond() {
        let longest = "k".repeat(MAX_KEY_BYTES);
        assert_eq!(bounded(longest.clone()), longest);
        let hashed = bounded("k".repeat(MAX_KEY_BYTES + 1));
        assert!(hashed.starts_with("sha256:") && hashed.len() == 71, "{hashed}");
        assert_ne!(hashed, bounded("k".repeat(MAX_KEY_BYTES + 2)));
    }
}
