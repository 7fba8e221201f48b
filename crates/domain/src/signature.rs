//! Signatures: of what goes out, and of what senders send.
//!
//! What senders send is checked by one verifier. A [`Scheme`] says as data what is signed and how,
//! the presets are schemes that we wrote, and an operator's own is another one. Nothing here fetches
//! a certificate, reads a clock or knows HTTP servers: facts of a request go in, a verdict comes out.

mod asn1;
mod checked_item;
mod compile;
mod key;
mod mismatch;
mod outgoing;
mod outgoing_ed25519;
mod outgoing_hmac;
mod place;
mod preset;
mod request;
mod scheme;
mod scheme_rules;
mod signed_text;
pub(crate) mod template;
mod timestamp;
mod verifier;

pub use mismatch::Mismatch;
pub use outgoing::{
    KEY_BYTES, SECRET_PREFIX, SecretError, SigningKey, check_standard_secret, format_standard_secret,
    sign_all,
};
pub use outgoing_ed25519::{PRIVATE_KEY_PREFIX, PUBLIC_KEY_PREFIX, PrivateKey, sign_all_asymmetric};
pub use outgoing_hmac::{HmacForm, plain_hmac};
pub use place::{Condition, Place, Remote};
pub use preset::{PRESETS, Preset, find_preset};
pub use request::{HeaderLookup, RequestFacts, RequestUrl};
pub use scheme::{
    Algorithm, Check, Digest, Encoding, KeyEncoding, KeyForm, ListForm, Scheme, SignatureForm, TimestampForm,
    TimestampUnit, UrlPort,
};
pub use template::{Template, TemplateError};
pub use verifier::{Certificate, MAX_TOLERANCE_S, SourceSecrets, Verified, Verifier};
