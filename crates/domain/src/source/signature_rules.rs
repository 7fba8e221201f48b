//! A source's signature scheme: which one its definition means, and what can't be meant.

use url::Url;

use super::auth::SourceAuth;
use crate::secret::Secret;
use crate::signature::{MAX_TOLERANCE_S, PRESETS, Scheme, SourceSecrets, find_preset};
use crate::validation::Faults;

/// The name of a scheme that the definition writes itself.
pub const CUSTOM_SCHEME: &str = "custom";
/// Most secrets of a source at a time.
const MAX_SECRETS: usize = 10;
/// Longest public URL, bytes.
const MAX_URL_BYTES: usize = 2048;

/// A source's scheme and what it is readied with.
pub struct SignatureAuth<'a> {
    pub scheme: &'a Scheme,
    pub secrets: SourceSecrets<'a>,
}

impl SourceAuth {
    /// The signature scheme that is meant; `None` for other ways to authenticate, and for a scheme
    /// that isn't known.
    pub fn signature(&self) -> Option<SignatureAuth<'_>> {
        let Self::Signature {
            scheme,
            secrets,
            tolerance_s,
            public_url,
            verify_token,
            dimensions,
        } = self
        else {
            return None;
        };
        let scheme = match scheme.as_str() {
            CUSTOM_SCHEME => dimensions.as_deref()?,
            name => &find_preset(name)?.dimensions,
        };
        let secrets = SourceSecrets {
            secrets,
            verify_token: verify_token.as_ref(),
            tolerance_s: *tolerance_s,
            public_url: public_url.as_deref(),
        };
        Some(SignatureAuth { scheme, secrets })
    }
}

pub(super) fn check(auth: &SourceAuth, faults: &mut Faults) {
    let SourceAuth::Signature {
        scheme, dimensions, ..
    } = auth
    else {
        return;
    };
    let is_custom = scheme == CUSTOM_SCHEME;
    match dimensions {
        Some(dimensions) if is_custom => dimensions.check("/auth/dimensions", faults),
        Some(_) => faults.require(false, "/auth/dimensions", "goes with the scheme custom only"),
        None => faults.require(!is_custom, "/auth/dimensions", "is needed with the scheme custom"),
    }
    match auth.signature() {
        Some(signature) => check_secrets(&signature, faults),
        None if is_custom => {}
        None => faults.require(false, "/auth/scheme", &unknown_scheme()),
    }
}

fn unknown_scheme() -> String {
    let names: Vec<_> = PRESETS.iter().map(|preset| preset.name.as_str()).collect();
    format!("is none of {}, {CUSTOM_SCHEME}", names.join(", "))
}

fn check_secrets(signature: &SignatureAuth<'_>, faults: &mut Faults) {
    let SourceSecrets {
        secrets,
        tolerance_s,
        public_url,
        ..
    } = signature.secrets;
    let needed = !secrets.is_empty() || !signature.scheme.needs_secret;
    faults.require(needed, "/auth/secrets", "needs at least one secret");
    let few = secrets.len() <= MAX_SECRETS;
    faults.require(few, "/auth/secrets", "has more than 10 secrets");
    for (place, secret) in secrets.iter().enumerate() {
        check_secret(
            signature.scheme,
            secret,
            &format!("/auth/secrets/{place}"),
            faults,
        );
    }
    let tolerance = tolerance_s.is_none_or(|seconds| seconds <= MAX_TOLERANCE_S);
    faults.require(tolerance, "/auth/tolerance_s", "has to be at most 604800");
    let url = public_url.is_none_or(is_public_url);
    let detail = "has to be an http or https URL without credentials, query and fragment";
    faults.require(url, "/auth/public_url", detail);
}

/// A kept secret was checked when it came.
fn check_secret(scheme: &Scheme, secret: &Secret, pointer: &str, faults: &mut Faults) {
    let fits = secret
        .value
        .as_deref()
        .is_none_or(|value| scheme.takes_secret(value));
    faults.require(fits, pointer, "is not a key in the form that this scheme needs");
}

fn is_public_url(text: &str) -> bool {
    text.len() <= MAX_URL_BYTES
        && Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceSpec;

    fn check(auth: &str, expected: &[&str]) {
        let auth: SourceAuth = serde_json::from_str(auth).unwrap_or_else(|error| panic!("{auth}: {error}"));
        let spec = SourceSpec {
            name: "s".to_owned(),
            auth,
            ..SourceSpec::default()
        };
        let pointers: Vec<String> = match spec.validate() {
            Ok(()) => Vec::new(),
            Err(errors) => errors.into_iter().map(|error| error.pointer).collect(),
        };
        assert_eq!(pointers, expected);
    }

    fn custom(dimensions: &str, expected: &[&str]) {
        check(
            &format!(
                r#"{{"type": "signature", "scheme": "custom", "secrets": ["s3cret"], "dimensions": {dimensions}}}"#
            ),
            expected,
        );
    }

    #[test]
    fn a_preset_needs_a_secret_that_is_a_key_of_its_form() {
        check(
            r#"{"type": "signature", "scheme": "github", "secrets": ["dev"]}"#,
            &[],
        );
        check(r#"{"type": "signature", "scheme": "github"}"#, &["/auth/secrets"]);
        check(r#"{"type": "signature", "scheme": "cloudevents"}"#, &[]);
        check(
            r#"{"type": "signature", "scheme": "nosuch", "secrets": ["dev"]}"#,
            &["/auth/scheme"],
        );
        check(
            r#"{"type": "signature", "scheme": "discord", "secrets": ["zz", "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"]}"#,
            &["/auth/secrets/0"],
        );
        check(
            r#"{"type": "signature", "scheme": "stripe", "secrets": ["x"], "tolerance_s": 604801, "public_url": "https://a.example/?b"}"#,
            &["/auth/tolerance_s", "/auth/public_url"],
        );
        check(
            r#"{"type": "signature", "scheme": "stripe", "secrets": ["x"], "dimensions": {"checks": []}}"#,
            &["/auth/dimensions"],
        );
    }

    #[test]
    fn a_custom_scheme_is_refused_at_the_field_that_is_wrong() {
        let check_of = |rest: &str| {
            format!(
                r#"{{"checks": [{{"algorithm": "hmac-sha256", "signature": {{"at": {{"header": "X-Sig"}}}}, {rest}}}]}}"#
            )
        };
        custom(
            &check_of(r#""signed": "{{timestamp}}.{{body}}", "timestamp": {"at": {"header": "X-Time"}}"#),
            &[],
        );
        let signed = ["/auth/dimensions/checks/0/signed"];
        for rest in [
            r#""signed": "{{bdy}}""#,
            r#""signed": """#,
            r#""signed": "{{timestamp}}{{body}}""#,
            r#""signed": "{{id}}{{body}}""#,
            r#""signed": "{{secret}}{{body}}""#,
            r#""signed": "{{body|json}}""#,
        ] {
            custom(&check_of(rest), &signed);
        }
        custom(
            &check_of(r#""signed": "{{body}}", "key": {"encoding": "pem"}"#),
            &["/auth/dimensions/checks/0/key/encoding", "/auth/secrets/0"],
        );
        custom(
            &check_of(r#""signed": "{{body}}", "when": [{"is": "x"}], "id": {"path": "$..id"}"#),
            &[
                "/auth/dimensions/checks/0/when/0",
                "/auth/dimensions/checks/0/when/0",
                "/auth/dimensions/checks/0/id/path",
            ],
        );
        custom(
            r#"{"checks": []}"#,
            &["/auth/dimensions/checks", "/auth/secrets/0"],
        );
        check(
            r#"{"type": "signature", "scheme": "custom", "secrets": ["x"]}"#,
            &["/auth/dimensions"],
        );
    }

    #[test]
    fn nobody_unknown_gets_a_text_of_its_choice_signed() {
        let greets = |signed: bool, body: &str| {
            let rule = format!(
                r#"{{"when": [{{"method": "POST"}}], "signed": {signed}, "answer": {{"body": "{body}"}}}}"#
            );
            let check = r#"{"algorithm": "hmac-sha256", "signature": {"at": {"header": "X-Sig"}}, "signed": "{{body}}"}"#;
            format!(r#"{{"checks": [{check}], "handshakes": [{rule}]}}"#)
        };
        let refused = ["/auth/dimensions/handshakes/0/answer/body"];
        for signs in ["{{query:t|hmac_sha256_hex}}", "{{value:$.t|hmac_sha256_base64}}"] {
            custom(&greets(false, signs), &refused);
            custom(&greets(true, signs), &[]);
        }
        custom(&greets(false, "{{query:t}}"), &[]);
    }

    #[test]
    fn an_unknown_member_of_a_scheme_is_refused() {
        let text = r#"{"type": "signature", "scheme": "custom", "dimensions": {"checks": [], "chekcs": 1}}"#;
        assert!(serde_json::from_str::<SourceAuth>(text).is_err());
    }
}
