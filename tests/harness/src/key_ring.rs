//! The key ring of the installations that tests start: the same everywhere, so that a second process opens
//! what the first has sealed.

use hookrail_keyring::{KeyRing, key_line};

/// The id of its key.
const KEY_ID: &str = "of-the-tests";

/// As a setting's text.
pub fn key_ring_text() -> String {
    key_line(KEY_ID, &[42; hookrail_keyring::KEY_BYTES])
}

/// As the services have it.
///
/// # Panics
/// Never: the text is a key ring's.
pub fn key_ring() -> KeyRing {
    KeyRing::parse(&key_ring_text()).expect("it is written by the same crate")
}
