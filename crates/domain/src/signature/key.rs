//! The text of a secret → a key, ready to check signatures with.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use data_encoding::HEXLOWER_PERMISSIVE;
use ring::digest::{self, SHA256};
use ring::{hmac, signature};
use subtle::ConstantTimeEq;

use super::asn1;
use super::mismatch::Mismatch;
use super::scheme::{Algorithm, Encoding, KeyEncoding, KeyForm};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// A key. Its texts and bytes are never shown.
pub(super) enum Key {
    Token(String),
    /// The secret that is part of what is hashed.
    Hash(String),
    Hmac(hmac::Key),
    Public(signature::UnparsedPublicKey<Vec<u8>>),
}

/// A way to give a message in pieces.
pub(super) type Pieces<'p> = dyn Fn(&str, &mut dyn FnMut(&[u8])) -> Result<(), Mismatch> + 'p;

impl Key {
    /// Reads a secret; `None` where it is no key of this form.
    pub(super) fn parse(text: &str, form: &KeyForm, algorithm: Algorithm) -> Option<Self> {
        let text = match text.strip_prefix(form.prefix.as_str()) {
            Some(rest) => rest,
            None if form.prefix_optional => text,
            None => return None,
        };
        let hmac = |algorithm| {
            Some(Self::Hmac(hmac::Key::new(
                algorithm,
                &decode(text, form.encoding)?,
            )))
        };
        match algorithm {
            Algorithm::Token => (!text.is_empty()).then(|| Self::Token(text.to_owned())),
            Algorithm::Sha256 => (!text.is_empty()).then(|| Self::Hash(text.to_owned())),
            Algorithm::HmacSha1 => hmac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            Algorithm::HmacSha256 => hmac(hmac::HMAC_SHA256),
            Algorithm::HmacSha512 => hmac(hmac::HMAC_SHA512),
            _ => Self::public(&decode(text, form.encoding)?, algorithm),
        }
    }

    /// A public key as bytes: bare, or inside of a SubjectPublicKeyInfo or a certificate.
    pub(super) fn public(bytes: &[u8], algorithm: Algorithm) -> Option<Self> {
        let wanted = PublicKind::of(algorithm)?;
        let key = asn1::key_of_spki(bytes)
            .or_else(|| asn1::key_of_certificate(bytes))
            .unwrap_or(bytes);
        wanted.fits(key).then(|| {
            Self::Public(signature::UnparsedPublicKey::new(
                wanted.verification,
                key.to_vec(),
            ))
        })
    }

    /// Whether one of those shown is this token or a signature of the message by this key. The message is
    /// hashed once, however many are shown. Compares in constant time.
    pub(super) fn verifies_any(&self, shown: &[Vec<u8>], message: &Pieces<'_>) -> Result<bool, Mismatch> {
        let any = |wanted: &[u8]| shown.iter().any(|one| bool::from(wanted.ct_eq(one)));
        Ok(match self {
            Self::Token(token) => any(token.as_bytes()),
            Self::Hash(secret) => {
                let mut context = digest::Context::new(&SHA256);
                message(secret, &mut |piece| context.update(piece))?;
                any(context.finish().as_ref())
            }
            Self::Hmac(key) => {
                let mut context = hmac::Context::with_key(key);
                message("", &mut |piece| context.update(piece))?;
                any(context.sign().as_ref())
            }
            Self::Public(key) => {
                let mut whole = Vec::new();
                message("", &mut |piece| whole.extend_from_slice(piece))?;
                shown.iter().any(|one| key.verify(&whole, one).is_ok())
            }
        })
    }
}

/// What verifies with a public key.
type Verification = &'static dyn signature::VerificationAlgorithm;
/// Whether bytes may be a key.
type Fits = fn(&[u8]) -> bool;

/// What a public key of an algorithm looks like.
struct PublicKind {
    verification: Verification,
    fits: Fits,
}

impl PublicKind {
    fn of(algorithm: Algorithm) -> Option<Self> {
        let is_point = |key: &[u8]| key.len() == 65 && key[0] == 4;
        // RSAPublicKey (RFC 8017, appendix A.1.1) is a sequence of two numbers.
        let is_rsa = |key: &[u8]| key.len() > 200 && key[0] == 0x30;
        let (verification, fits): (Verification, Fits) = match algorithm {
            Algorithm::Ed25519 => (&signature::ED25519, |key| key.len() == 32),
            Algorithm::EcdsaP256Asn1 => (&signature::ECDSA_P256_SHA256_ASN1, is_point),
            Algorithm::EcdsaP256Fixed => (&signature::ECDSA_P256_SHA256_FIXED, is_point),
            Algorithm::RsaSha1 => (&signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, is_rsa),
            Algorithm::RsaSha256 => (&signature::RSA_PKCS1_2048_8192_SHA256, is_rsa),
            _ => return None,
        };
        Some(Self { verification, fits })
    }

    fn fits(&self, key: &[u8]) -> bool {
        (self.fits)(key)
    }
}

/// The bytes of a key's text; an empty key is none.
fn decode(text: &str, encoding: KeyEncoding) -> Option<Vec<u8>> {
    let bytes = match encoding {
        KeyEncoding::Raw => Some(text.as_bytes().to_vec()),
        KeyEncoding::Hex => HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok(),
        KeyEncoding::Base64 => BASE64.decode(text.trim()).ok(),
        KeyEncoding::Base64url => BASE64_URL.decode(text.trim()).ok(),
        KeyEncoding::Pem => pem(text.as_bytes()),
    };
    bytes.filter(|bytes| !bytes.is_empty())
}

/// The first block of a PEM text (RFC 7468), whatever it is labelled.
pub(super) fn pem(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, after) = text.split_once("-----BEGIN ")?;
    let (_, after) = after.split_once("-----")?;
    let (inner, _) = after.split_once("-----END ")?;
    let inner: String = inner.split_ascii_whitespace().collect();
    BASE64.decode(inner).ok()
}

impl Encoding {
    /// A signature's bytes.
    pub(super) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok(),
            Self::Base64 => BASE64.decode(text).ok(),
            Self::Base64url => BASE64_URL.decode(text).ok(),
        }
    }
}
