//! One signed thing, a request or an item of its body, against one way of signing.

use std::borrow::Cow;

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use super::compile::CompiledCheck;
use super::key::{Key, Pieces};
use super::mismatch::Mismatch;
use super::place::Place;
use super::request::{HeaderLookup, RequestFacts};
use super::scheme::{Algorithm, ListForm, SignatureForm, UrlPort};
use super::signed_text::{Signing, authorities};
use super::verifier::Verified;
use crate::Millis;
use crate::json::Json;

/// Most signatures of one request that are looked at.
const MAX_SIGNATURES: usize = 16;

/// What a check is made with.
pub(super) struct CheckedItem<'c, 'r, H> {
    pub(super) check: &'c CompiledCheck,
    pub(super) request: &'c RequestFacts<'r, H>,
    pub(super) item: Option<&'c Json>,
    /// The key of the certificate that the request names.
    pub(super) certificate: Option<&'c Key>,
    pub(super) now: Millis,
}

impl<H: HeaderLookup> CheckedItem<'_, '_, H> {
    /// Verifies the signature, and only then the time at which it was made.
    pub(super) fn verify(&self, tolerance_s: u32) -> Result<Verified, Mismatch> {
        let form = &self.check.form;
        let text = form.signature.at.needed(self.request, self.item)?;
        let shown = shown_signatures(&form.signature, form.algorithm, &text)?;
        let timestamp = self.timestamp_text()?;
        let id = form
            .id
            .as_ref()
            .map(|id| id.needed(self.request, self.item))
            .transpose()?;
        self.check_digest()?;
        let secret = self.find_key(&shown, timestamp.as_deref(), id.as_deref())?;
        let signed_at = self.signed_at(timestamp.as_deref(), tolerance_s)?;
        Ok(Verified {
            secret: Some(secret),
            id: id.filter(|_| self.check.signs_id()).map(Cow::into_owned),
            signed_at,
        })
    }

    fn timestamp_text(&self) -> Result<Option<Cow<'_, str>>, Mismatch> {
        let Some(form) = &self.check.form.timestamp else {
            return Ok(None);
        };
        let text = form.at.needed(self.request, self.item)?;
        let Some(list) = &form.list else {
            return Ok(Some(text));
        };
        let found = list.values(&text).next().map(str::to_owned);
        let missing = || Mismatch::Missing(format!("{} in {}", list.field, form.at));
        Ok(Some(Cow::Owned(found.ok_or_else(missing)?)))
    }

    fn signed_at(&self, text: Option<&str>, tolerance_s: u32) -> Result<Option<Millis>, Mismatch> {
        let (Some(form), Some(text)) = (&self.check.form.timestamp, text) else {
            return Ok(None);
        };
        let Some(at) = form.unit.read(text) else {
            return match tolerance_s {
                0 => Ok(None),
                _ => Err(Mismatch::MalformedTimestamp(form.at.to_string())),
            };
        };
        super::timestamp::check(at, self.now, tolerance_s)?;
        Ok(Some(at))
    }

    fn check_digest(&self) -> Result<(), Mismatch> {
        let Some(form) = &self.check.form.digest else {
            return Ok(());
        };
        let shown = form.at.needed(self.request, self.item)?;
        let hash = data_encoding::HEXLOWER.encode(digest(&SHA256, self.request.body).as_ref());
        let same = hash.as_bytes().ct_eq(shown.to_ascii_lowercase().as_bytes());
        if same.into() {
            Ok(())
        } else {
            Err(Mismatch::Digest(form.at.to_string()))
        }
    }

    /// The place of the secret that makes one of the signatures.
    fn find_key(
        &self,
        shown: &[Vec<u8>],
        timestamp: Option<&str>,
        id: Option<&str>,
    ) -> Result<usize, Mismatch> {
        let form = &self.check.form;
        let mut active = self
            .check
            .keys
            .iter()
            .filter(|key| key.is_active(self.now))
            .peekable();
        if active.peek().is_none() {
            return Err(Mismatch::NoSecret);
        }
        let authorities = match form.url_port {
            UrlPort::AsSeen => vec![self.request.url.authority.to_owned()],
            UrlPort::Either => authorities(&self.request.url),
        };
        for key in active {
            let secret = match (self.certificate, &form.certificate, &form.identity) {
                (None, None, _) => &key.key,
                (Some(certificate), Some(_), Some(identity)) if self.is_named(identity, &key.key)? => {
                    certificate
                }
                _ => continue,
            };
            for authority in &authorities {
                let signing = Signing {
                    template: &self.check.template,
                    request: self.request,
                    item: self.item,
                    timestamp: timestamp.unwrap_or_default(),
                    id: id.unwrap_or_default(),
                    authority,
                };
                let message: &Pieces<'_> = &|secret, sink| signing.write(secret, sink);
                if secret.verifies_any(shown, message)? {
                    return Ok(key.secret);
                }
            }
        }
        Err(self.nothing_matched())
    }

    /// Whether a request names itself by this secret.
    fn is_named(&self, identity: &Place, secret: &Key) -> Result<bool, Mismatch> {
        let shown = identity.needed(self.request, self.item)?;
        secret.verifies_any(&[shown.as_bytes().to_vec()], &|_, _| Ok(()))
    }

    fn nothing_matched(&self) -> Mismatch {
        let place = self.check.form.signature.at.to_string();
        match self.check.form.algorithm {
            Algorithm::Token => Mismatch::WrongToken(place),
            _ => Mismatch::Wrong(place),
        }
    }
}

/// The signatures in a text, as bytes.
fn shown_signatures(
    form: &SignatureForm,
    algorithm: Algorithm,
    text: &str,
) -> Result<Vec<Vec<u8>>, Mismatch> {
    let bare = |one: &str| {
        let one = one.strip_prefix(form.prefix.as_str())?;
        if algorithm == Algorithm::Token {
            (!one.is_empty()).then(|| one.as_bytes().to_vec())
        } else {
            form.encoding.decode(one).filter(|bytes| !bytes.is_empty())
        }
    };
    let found: Vec<_> = match &form.list {
        Some(list) => list.values(text).filter_map(bare).take(MAX_SIGNATURES).collect(),
        None => bare(text).into_iter().collect(),
    };
    match found.is_empty() {
        true => Err(Mismatch::Malformed(form.at.to_string())),
        false => Ok(found),
    }
}

impl ListForm {
    /// The values in a text, of the wanted name where they have names.
    fn values<'t>(&'t self, text: &'t str) -> impl Iterator<Item = &'t str> {
        text.split(self.separator.as_str())
            .filter_map(|part| match self.field.as_str() {
                "" => Some(part.trim()),
                field => {
                    let (name, value) = part.trim().split_once(self.assign.as_str())?;
                    (name == field).then_some(value)
                }
            })
    }
}
