//! What makes sense in a scheme: refused by field when a definition is saved.

use super::scheme::{Algorithm, Check, KeyEncoding, ListForm, Scheme};
use super::template::{Field, Filter, Template};
use super::verifier::MAX_TOLERANCE_S;
use crate::validation::Faults;

/// Most checks of a scheme, and most conditions of one.
const MAX_CHECKS: usize = 16;
/// Most handshakes of a scheme.
const MAX_HANDSHAKES: usize = 16;
/// Longest text that separates or begins something, bytes.
const MAX_MARK_BYTES: usize = 64;

impl Scheme {
    /// Refuses what can't be meant, each fault with its pointer below `pointer`.
    pub fn check(&self, pointer: &str, faults: &mut Faults) {
        let checks = (1..=MAX_CHECKS).contains(&self.checks.len());
        faults.require(checks, &format!("{pointer}/checks"), "needs 1 to 16 checks");
        for (place, check) in self.checks.iter().enumerate() {
            check.check(&format!("{pointer}/checks/{place}"), faults);
        }
        let tolerance = self.tolerance_s <= MAX_TOLERANCE_S;
        faults.require(
            tolerance,
            &format!("{pointer}/tolerance_s"),
            "has to be at most 604800",
        );
        let handshakes = self.handshakes.len() <= MAX_HANDSHAKES;
        faults.require(
            handshakes,
            &format!("{pointer}/handshakes"),
            "has more than 16 rules",
        );
        for (place, handshake) in self.handshakes.iter().enumerate() {
            handshake.check(&format!("{pointer}/handshakes/{place}"), faults);
        }
        if let Some(acknowledgement) = &self.acknowledgement {
            acknowledgement.check(&format!("{pointer}/acknowledgement"), faults);
        }
    }
}

impl Check {
    fn check(&self, pointer: &str, faults: &mut Faults) {
        let at = |field: &str| format!("{pointer}/{field}");
        faults.require(
            self.when.len() <= MAX_CHECKS,
            &at("when"),
            "has more than 16 conditions",
        );
        for (place, condition) in self.when.iter().enumerate() {
            condition.check(&at(&format!("when/{place}")), faults);
        }
        self.signature.at.check(&at("signature/at"), faults);
        check_list(self.signature.list.as_ref(), &at("signature/list"), faults);
        check_mark(&self.signature.prefix, &at("signature/prefix"), faults);
        check_mark(&self.key.prefix, &at("key/prefix"), faults);
        if let Some(timestamp) = &self.timestamp {
            timestamp.at.check(&at("timestamp/at"), faults);
            check_list(timestamp.list.as_ref(), &at("timestamp/list"), faults);
        }
        if let Some(id) = &self.id {
            id.check(&at("id"), faults);
        }
        if let Some(digest) = &self.digest {
            digest.at.check(&at("digest/at"), faults);
        }
        self.check_key(pointer, faults);
        self.check_certificate(pointer, faults);
        self.check_signed(&at("signed"), faults);
    }

    fn check_key(&self, pointer: &str, faults: &mut Faults) {
        let is_text = matches!(self.algorithm, Algorithm::Token | Algorithm::Sha256);
        let raw = self.key.encoding == KeyEncoding::Raw;
        let pointer = format!("{pointer}/key/encoding");
        faults.require(!is_text || raw, &pointer, "has to be raw with this algorithm");
        let fits = !self.algorithm.is_public() || self.certificate.is_some() || !raw;
        faults.require(fits, &pointer, "can't be raw: the secret is a public key");
        let fits = self.algorithm.is_public() || self.key.encoding != KeyEncoding::Pem;
        faults.require(fits, &pointer, "can be pem for public keys only");
    }

    fn check_certificate(&self, pointer: &str, faults: &mut Faults) {
        let at = |field: &str| format!("{pointer}/{field}");
        let both = self.certificate.is_some() == self.identity.is_some();
        faults.require(
            both,
            &at("identity"),
            "goes with certificate, which anyone of the sender's has",
        );
        if let Some(certificate) = &self.certificate {
            certificate.check(&at("certificate"), faults);
            faults.require(
                self.algorithm.is_public(),
                &at("algorithm"),
                "has to be one with public keys, since there is a certificate",
            );
            faults.require(self.each.is_none(), &at("each"), "can't go with a certificate");
        }
        if let Some(identity) = &self.identity {
            identity.check(&at("identity"), faults);
        }
    }

    fn check_signed(&self, pointer: &str, faults: &mut Faults) {
        if self.algorithm == Algorithm::Token {
            faults.require(
                self.signed.is_empty(),
                pointer,
                "does not go with token, where nothing is signed",
            );
            return;
        }
        faults.require(!self.signed.is_empty(), pointer, "is needed: what is signed");
        let template = match Template::parse(&self.signed) {
            Ok(template) => template,
            Err(error) => return faults.require(false, pointer, &error.to_string()),
        };
        let allowed = |field: &Field, filters: &[Filter]| {
            filters.is_empty()
                && match field {
                    Field::Secret => self.algorithm == Algorithm::Sha256,
                    Field::EventId => false,
                    _ => true,
                }
        };
        if let Err(error) = template.check(allowed) {
            faults.require(false, pointer, &error.to_string());
        }
        let uses = |wanted: &Field| template.fields().any(|field| field == wanted);
        let timestamp = self.timestamp.is_some() == uses(&Field::Timestamp);
        let apart = self.timestamp_is_signed_apart(&template);
        faults.require(
            timestamp || apart,
            pointer,
            "needs {{timestamp}} if and only if there is a timestamp",
        );
        faults.require(
            self.id.is_some() || !uses(&Field::Id),
            pointer,
            "uses {{id}}, and id is not given",
        );
        let secret = self.algorithm != Algorithm::Sha256 || uses(&Field::Secret);
        faults.require(secret, pointer, "needs {{secret}}, else anyone can compute it");
    }

    /// Whether the time is signed without being named: it is in the body, or among signed headers.
    fn timestamp_is_signed_apart(&self, template: &Template) -> bool {
        self.timestamp.is_some()
            && template.fields().any(|field| {
                matches!(
                    field,
                    Field::Body | Field::SignedHeaders(_) | Field::Lines(_) | Field::Value(_)
                )
            })
    }
}

impl Algorithm {
    /// Whether a signature is checked with a public key.
    pub(super) fn is_public(self) -> bool {
        matches!(
            self,
            Self::Ed25519 | Self::EcdsaP256Asn1 | Self::EcdsaP256Fixed | Self::RsaSha1 | Self::RsaSha256
        )
    }
}

fn check_list(list: Option<&ListForm>, pointer: &str, faults: &mut Faults) {
    let Some(list) = list else {
        return;
    };
    let separator = (1..=MAX_MARK_BYTES).contains(&list.separator.len());
    faults.require(separator, &format!("{pointer}/separator"), "has 1 to 64 bytes");
    let assign = (1..=MAX_MARK_BYTES).contains(&list.assign.len());
    faults.require(assign, &format!("{pointer}/assign"), "has 1 to 64 bytes");
    check_mark(&list.field, &format!("{pointer}/field"), faults);
}

fn check_mark(text: &str, pointer: &str, faults: &mut Faults) {
    faults.require(text.len() <= MAX_MARK_BYTES, pointer, "has more than 64 bytes");
}
