//! Secrets at rest: sealed by a key that lies elsewhere, opened by any key of the ring.
//!
//! Knows no table and no stream: a value comes in with the place that it belongs to, and goes out as
//! text. Draws no random numbers and reads no files; whoever seals brings a nonce.

mod error;
mod key;
mod key_ring;
mod place;
mod sealed;

pub use error::{KeyRingError, OpenError, SealError};
pub use key::{KEY_BYTES, key_line};
pub use key_ring::KeyRing;
pub use place::Place;
pub use sealed::{NONCE_BYTES, sealed_by};
