//! A scheme and a source's secrets → checks that only hash: templates parsed, keys decoded.

use super::key::Key;
use super::place::Place;
use super::scheme::{Algorithm, Check, Scheme};
use super::template::{Field, Template};
use crate::Millis;
use crate::secret::Secret;

/// One way in which a request may be signed, ready.
pub(super) struct CompiledCheck {
    pub(super) form: Check,
    pub(super) template: Template,
    pub(super) keys: Vec<KeyInUse>,
}

/// A key, and until when it is in use.
pub(super) struct KeyInUse {
    /// Its secret's place among the source's.
    pub(super) secret: usize,
    expires_at: Option<Millis>,
    pub(super) key: Key,
}

impl CompiledCheck {
    /// Whether the signature covers the sender's id of the message. A token covers nothing.
    pub(super) fn signs_id(&self) -> bool {
        let in_body = match &self.form.id {
            Some(Place::Path(path)) => path.as_str().strip_prefix("$."),
            _ => None,
        };
        let covers = |field: &Field| match field {
            Field::Id => true,
            Field::Body => in_body.is_some(),
            Field::Lines(names) => in_body.is_some_and(|id| names.iter().any(|name| name == id)),
            _ => false,
        };
        self.form.algorithm != Algorithm::Token && self.template.fields().any(covers)
    }
}

impl KeyInUse {
    pub(super) fn is_active(&self, now: Millis) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

/// The checks of a scheme with the keys that the secrets are. A template that can't be parsed was
/// refused when it was saved; should one come all the same, its check matches nothing.
pub(super) fn compile(scheme: &Scheme, secrets: &[Secret]) -> Vec<CompiledCheck> {
    let of_check = |form: &Check| {
        Some(CompiledCheck {
            template: Template::parse(&form.signed).ok()?,
            keys: keys(form, secrets),
            form: form.clone(),
        })
    };
    scheme.checks.iter().filter_map(of_check).collect()
}

fn keys(form: &Check, secrets: &[Secret]) -> Vec<KeyInUse> {
    let key = |(place, secret): (usize, &Secret)| {
        Some(KeyInUse {
            secret: place,
            expires_at: secret.expires_at,
            key: form.parse_key(secret.value.as_deref()?)?,
        })
    };
    secrets.iter().enumerate().filter_map(key).collect()
}

impl Check {
    /// The key that a secret's text is. With a certificate secrets are names, compared as tokens are.
    fn parse_key(&self, text: &str) -> Option<Key> {
        let algorithm = match self.certificate {
            Some(_) => Algorithm::Token,
            None => self.algorithm,
        };
        Key::parse(text, &self.key, algorithm)
    }
}

impl Scheme {
    /// Whether a text can be a secret of this scheme.
    pub fn takes_secret(&self, text: &str) -> bool {
        self.checks.iter().any(|check| check.parse_key(text).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(algorithm: &str, signed: &str, id: &str, expected: bool) {
        let scheme = format!(
            r#"{{"checks": [{{"algorithm": "{algorithm}", "signature": {{"at": {{"header": "s"}}}}, "signed": "{signed}"{id}}}]}}"#
        );
        let scheme: Scheme = serde_json::from_str(&scheme).unwrap();
        let [compiled] = &compile(&scheme, &[])[..] else {
            panic!("{signed} is no template")
        };
        assert_eq!(compiled.signs_id(), expected, "{algorithm} of {signed} with {id}");
    }

    #[test]
    fn an_id_identifies_only_where_the_signature_covers_it() {
        let (in_header, in_body) = (r#", "id": {"header": "i"}"#, r#", "id": {"path": "$.id"}"#);
        check("hmac-sha256", "{{id}}.{{body}}", in_header, true);
        check("hmac-sha256", "{{body}}", in_header, false);
        check("hmac-sha256", "{{body}}", in_body, true);
        check("hmac-sha256", "{{timestamp}}", in_body, false);
        check("hmac-sha256", "{{body}}", "", false);
        check("token", "{{body}}", in_body, false);
    }
}
