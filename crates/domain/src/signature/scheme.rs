//! A signature scheme as data: the form in which presets are written, and in which an operator
//! writes one of his own.
//!
//! What makes sense together is checked in `scheme_rules`; nothing is verified here.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::place::{Condition, Place, Remote};
use crate::handshake::Handshake;
use crate::jsonpath::JsonPath;
use crate::source::Acknowledgement;

/// How far a signed time may be off where neither definition nor scheme says, seconds.
const DEFAULT_TOLERANCE_S: u32 = 300;

/// How a sender's requests are known to be its own, and what it wants to hear.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scheme {
    /// Ways in which a request may be signed; one of them has to hold.
    pub checks: Vec<Check>,
    /// Whether a source needs a secret. Where it needs none and has none, nothing is checked.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub needs_secret: bool,
    /// How far the signed time may be off where the source doesn't say, seconds; 0 = not checked.
    #[serde(default = "default_tolerance_s")]
    pub tolerance_s: u32,
    /// Requests that are no events and have an answer of their own; the first that fits is taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handshakes: Vec<Handshake>,
    /// The answer to accepted events where the source has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledgement: Option<Acknowledgement>,
    /// Whether a 401 has no body.
    #[serde(default, skip_serializing_if = "is_false")]
    pub empty_refusal: bool,
}

/// One way in which a request may be signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// When this way is the one to look at; all have to hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<Condition>,
    /// How the signature is computed.
    pub algorithm: Algorithm,
    /// How the secret's text is a key.
    #[serde(default, skip_serializing_if = "is_default")]
    pub key: KeyForm,
    /// Items of the body, each with a signature of its own; paths then begin at the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub each: Option<JsonPath>,
    /// Where the signature is, and in what form.
    pub signature: SignatureForm,
    /// What is signed: text with `{{placeholders}}`. Not with `token`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signed: String,
    /// The time of signing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<TimestampForm>,
    /// The sender's id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Place>,
    /// A hash of the body, which is signed in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// How `{{url}}` is written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub url_port: UrlPort,
    /// Where the certificate with the key is fetched from; the source's secrets are then what
    /// `identity` has to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Remote>,
    /// What has to be one of the source's secrets besides, with `certificate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Place>,
}

/// How a signature is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// No computation: the secret itself is shown.
    Token,
    /// SHA-256 of a text that holds `{{secret}}`.
    Sha256,
    /// HMAC (RFC 2104) with SHA-1.
    HmacSha1,
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-512.
    HmacSha512,
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA on P-256 with SHA-256, the signature in ASN.1.
    EcdsaP256Asn1,
    /// ECDSA on P-256 with SHA-256, the signature as two numbers of 32 bytes.
    EcdsaP256Fixed,
    /// RSA PKCS#1 v1.5 with SHA-1.
    RsaSha1,
    /// RSA PKCS#1 v1.5 with SHA-256.
    RsaSha256,
}

/// How the secret's text is a key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeyForm {
    /// What the text is.
    pub encoding: KeyEncoding,
    /// What the text begins with, which is no part of the key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Whether a text without the prefix is a key too.
    #[serde(skip_serializing_if = "is_false")]
    pub prefix_optional: bool,
}

/// What the text of a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyEncoding {
    /// The key itself, as UTF-8.
    #[default]
    Raw,
    /// Hexadecimal.
    Hex,
    /// Base64, padded or not; of public keys also their SubjectPublicKeyInfo.
    Base64,
    /// Base64 of the alphabet for URLs, padded or not.
    Base64url,
    /// PEM of a public key or a certificate.
    Pem,
}

/// Where a signature is, and in what form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignatureForm {
    /// Where it is.
    pub at: Place,
    /// Several in one text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListForm>,
    /// What each begins with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// How its bytes are text. Not with `token`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub encoding: Encoding,
}

/// Several values in one text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListForm {
    /// What is between two of them.
    pub separator: String,
    /// The name that is wanted, where they are names with values.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What is between a name and its value.
    #[serde(default = "equals_sign")]
    pub assign: String,
}

/// How a signature's bytes are text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Hexadecimal, in either case.
    #[default]
    Hex,
    /// Base64, padded or not.
    Base64,
    /// Base64 of the alphabet for URLs, padded or not.
    Base64url,
}

/// Where the time of signing is, and in what form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TimestampForm {
    /// Where it is.
    pub at: Place,
    /// Its name in a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListForm>,
    /// How it is written.
    #[serde(default)]
    pub unit: TimestampUnit,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimestampUnit {
    /// Seconds since 1970.
    #[default]
    S,
    /// Milliseconds since 1970.
    Ms,
    /// RFC 3339.
    Rfc3339,
}

/// A hash of the body (SHA-256, hexadecimal) that is signed in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// Where it is.
    pub at: Place,
}

/// How a URL that is signed is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UrlPort {
    /// As the sender knows it.
    #[default]
    AsSeen,
    /// With the port or without: either will do.
    Either,
}

pub(crate) fn yes() -> bool {
    true
}

pub(crate) fn is_true(value: &bool) -> bool {
    *value
}

pub(crate) fn is_false(value: &bool) -> bool {
    !*value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn default_tolerance_s() -> u32 {
    DEFAULT_TOLERANCE_S
}

fn equals_sign() -> String {
    "=".to_owned()
}
