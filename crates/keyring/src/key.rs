//! One key of a ring, and how it is written.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Longest id, bytes.
const MAX_ID_BYTES: usize = 64;

/// One key.
#[derive(Clone)]
pub(crate) struct SealingKey {
    pub(crate) id: String,
    bytes: [u8; KEY_BYTES],
}

impl SealingKey {
    /// Reads `id:key`, the key in base64 of either alphabet, padded or not.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (id, encoded) = text.split_once(':')?;
        let (id, encoded) = (id.trim(), encoded.trim());
        let engines = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
        let bytes = engines.iter().find_map(|engine| engine.decode(encoded).ok())?;
        is_id(id).then_some(())?;
        Some(Self {
            id: id.to_owned(),
            bytes: bytes.try_into().ok()?,
        })
    }

    pub(crate) fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(self.bytes))
    }

    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.id == other.id && self.bytes == other.bytes
    }
}

/// An id as it may stand in sealed values, whose parts are separated by colons.
pub(crate) fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(allowed)
}

/// A key as a line of a ring's file.
pub fn key_line(id: &str, bytes: &[u8; KEY_BYTES]) -> String {
    format!("{id}:{}", URL_SAFE_NO_PAD.encode(bytes))
}
