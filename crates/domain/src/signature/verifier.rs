//! The one verifier of what senders sign: a source's scheme with its secrets, ready to check requests.

use url::Url;

use super::asn1;
use super::checked_item::CheckedItem;
use super::compile::{CompiledCheck, compile};
use super::key::{Key, pem};
use super::mismatch::Mismatch;
use super::place::{Condition, Place};
use super::request::{HeaderLookup, RequestFacts, RequestUrl};
use super::scheme::{Algorithm, Scheme};
use crate::Millis;
use crate::json::Json;
use crate::secret::Secret;
use subtle::ConstantTimeEq;

/// Furthest that a signed time may be allowed to be off, seconds: a week.
pub const MAX_TOLERANCE_S: u32 = 7 * 24 * 3600;
/// Most items of a body that are checked.
const MAX_ITEMS: usize = 1000;

/// What a source's definition says beside its scheme.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceSecrets<'a> {
    pub secrets: &'a [Secret],
    /// What only handshakes show.
    pub verify_token: Option<&'a Secret>,
    /// How far a signed time may be off, seconds, where it isn't the scheme's own.
    pub tolerance_s: Option<u32>,
    /// The source's URL as the sender knows it, without a query.
    pub public_url: Option<&'a str>,
}

/// What a signature that holds says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The place of the secret that made it; `None` where nothing was checked.
    pub secret: Option<usize>,
    /// The sender's id of the message, where the signature covers it.
    pub id: Option<String>,
    pub signed_at: Option<Millis>,
}

/// The public key of a certificate that a request names.
pub struct Certificate(Vec<u8>);

/// A scheme with a source's secrets.
pub struct Verifier {
    checks: Vec<CompiledCheck>,
    secrets: Vec<Secret>,
    verify_token: Option<Secret>,
    tolerance_s: u32,
    public_url: Option<Url>,
    is_open: bool,
}

impl Certificate {
    /// Reads a certificate in PEM or DER. Whether it may be trusted is for its caller to know: by
    /// where it came from.
    ///
    /// # Errors
    /// It is none, or its key isn't found.
    pub fn parse(bytes: &[u8]) -> Result<Self, Mismatch> {
        let der = pem(bytes).unwrap_or_else(|| bytes.to_vec());
        let key = asn1::key_of_certificate(&der).ok_or(Mismatch::Certificate)?;
        Ok(Self(key.to_vec()))
    }
}

impl Verifier {
    /// Readies a scheme for a source. Secrets that are no keys of the scheme were refused when they
    /// were saved, and count for nothing.
    pub fn new(scheme: &Scheme, source: SourceSecrets<'_>) -> Self {
        Self {
            checks: compile(scheme, source.secrets),
            secrets: source.secrets.to_vec(),
            verify_token: source.verify_token.cloned(),
            tolerance_s: source.tolerance_s.unwrap_or(scheme.tolerance_s),
            public_url: source.public_url.and_then(|url| Url::parse(url).ok()),
            is_open: source.secrets.is_empty() && !scheme.needs_secret,
        }
    }

    /// How far a signed time may be off, seconds; 0 = not checked.
    pub fn tolerance_s(&self) -> u32 {
        self.tolerance_s
    }

    /// The URL as the sender knows it: the one that the definition gives, with the request's query;
    /// else the one that was seen.
    pub fn url<'a>(&'a self, seen: RequestUrl<'a>) -> RequestUrl<'a> {
        match &self.public_url {
            Some(url) => RequestUrl {
                scheme: url.scheme(),
                authority: url.authority(),
                path: url.path(),
                query: seen.query,
            },
            None => seen,
        }
    }

    /// Where the certificate is that this request is signed with, `None` where the scheme has none.
    ///
    /// # Errors
    /// The request is none of the sender's whatever the certificate says: fetching it would be done
    /// for anyone.
    pub fn certificate_url<H: HeaderLookup>(
        &self,
        request: &RequestFacts<'_, H>,
        now: Millis,
    ) -> Result<Option<String>, Mismatch> {
        for check in self.applying(request, now) {
            if let (Some(remote), Some(identity)) = (&check.form.certificate, &check.form.identity) {
                check.form.signature.at.needed(request, None)?;
                let shown = identity.needed(request, None)?;
                if !self.is_secret(&shown, now) {
                    return Err(Mismatch::Identity(identity.to_string()));
                }
                return remote.url(request).map(Some);
            }
        }
        Ok(None)
    }

    /// Verifies a request.
    ///
    /// # Errors
    /// The part that does not match, of the check that got furthest.
    pub fn verify<H: HeaderLookup>(
        &self,
        request: &RequestFacts<'_, H>,
        certificate: Option<&Certificate>,
        now: Millis,
    ) -> Result<Verified, Mismatch> {
        if self.is_open {
            return Ok(Verified::default());
        }
        let mut furthest = Mismatch::NoForm;
        for check in self.applying(request, now) {
            match self.verify_check(check, request, certificate, now) {
                Ok(verified) => return Ok(verified),
                Err(mismatch) if mismatch.progress() > furthest.progress() => furthest = mismatch,
                Err(_) => {}
            }
        }
        Err(furthest)
    }

    fn applying<'v, H: HeaderLookup>(
        &'v self,
        request: &'v RequestFacts<'_, H>,
        now: Millis,
    ) -> impl Iterator<Item = &'v CompiledCheck> {
        self.checks.iter().filter(move |check| {
            let holds = |condition: &Condition| condition.holds(request, &|text| self.is_secret(text, now));
            check.form.when.iter().all(holds)
        })
    }

    fn verify_check<H: HeaderLookup>(
        &self,
        check: &CompiledCheck,
        request: &RequestFacts<'_, H>,
        certificate: Option<&Certificate>,
        now: Millis,
    ) -> Result<Verified, Mismatch> {
        let certificate = match (&check.form.certificate, certificate) {
            (Some(_), Some(Certificate(bytes))) => {
                Some(Key::public(bytes, check.form.algorithm).ok_or(Mismatch::Certificate)?)
            }
            (Some(_), None) => return Err(Mismatch::Certificate),
            (None, _) => None,
        };
        let of_item = |item| CheckedItem {
            check,
            request,
            item,
            certificate: certificate.as_ref(),
            now,
        };
        let Some(each) = &check.form.each else {
            return of_item(None).verify(self.tolerance_s);
        };
        let document = request.document().ok_or(Mismatch::Unreadable)?;
        let items: Vec<&Json> = each.select(document).map_err(|_| Mismatch::TooMany)?;
        if items.len() > MAX_ITEMS {
            return Err(Mismatch::TooMany);
        }
        let mut verified = Err(Mismatch::Missing(format!("{} in the body", each.as_str())));
        for item in items {
            verified = Ok(of_item(Some(item)).verify(self.tolerance_s)?);
        }
        verified
    }

    /// Whether a text is a secret in use, or the verify token. Compares in constant time.
    pub fn is_secret(&self, text: &str, now: Millis) -> bool {
        let known = self.secrets.iter().chain(&self.verify_token);
        known
            .filter_map(|secret| secret.active(now))
            .fold(false, |found, secret| {
                found | bool::from(secret.as_bytes().ct_eq(text.as_bytes()))
            })
    }

    /// The secret at this place, else the newest in use.
    pub fn secret(&self, place: Option<usize>, now: Millis) -> Option<&str> {
        let newest = || self.secrets.iter().find_map(|secret| secret.active(now));
        place
            .and_then(|place| self.secrets.get(place)?.value.as_deref())
            .or_else(newest)
    }

    /// Whether this header's value is a secret itself, which must not be kept.
    pub fn hides_header(&self, name: &str) -> bool {
        self.tokens()
            .any(|at| matches!(at, Place::Header(known) if known.eq_ignore_ascii_case(name)))
    }

    /// Whether this query parameter's value is a secret itself, which must not be kept.
    pub fn hides_query(&self, name: &str) -> bool {
        self.tokens()
            .any(|at| matches!(at, Place::Query(known) if known == name))
    }

    fn tokens(&self) -> impl Iterator<Item = &Place> {
        let tokens = self
            .checks
            .iter()
            .filter(|check| check.form.algorithm == Algorithm::Token);
        tokens.map(|check| &check.form.signature.at)
    }
}
