//! What can't be meant of a source's authentication.

use url::Url;

use super::SourceAuth;
use crate::{
    jwt::JwtKey,
    validation::{self, Faults},
};

/// Longest address of published keys, bytes.
const URL_MAX_BYTES: usize = 2_048;
/// Longest name of an issuer or audience, bytes.
const CLAIM_MAX_BYTES: usize = 1_024;

/// Adds what is wrong with how senders are known, at `/auth`.
pub(super) fn check_auth(auth: &SourceAuth, faults: &mut Faults) {
    match auth {
        SourceAuth::ApiKey { header, query } => check_key_places(header.as_deref(), query.as_deref(), faults),
        // RFC 7617, section 2: a user name can't hold a colon.
        SourceAuth::Basic { username, .. } => faults.require(
            !username.contains(':') && username.len() <= 256,
            "/auth/username",
            "has at most 256 bytes and no colon",
        ),
        SourceAuth::Jwt {
            jwks_url,
            public_key,
            secret,
            issuer,
            audience,
        } => {
            let sources = [jwks_url.is_some(), public_key.is_some(), secret.is_some()];
            let any = sources.contains(&true);
            faults.require(any, "/auth", "needs jwks_url, public_key or secret");
            check_jwks_url(jwks_url.as_deref(), faults);
            if let Some(Err(error)) = public_key.as_deref().map(JwtKey::from_pem) {
                faults.require(false, "/auth/public_key", &error.to_string());
            }
            for (claim, pointer) in [(issuer, "/auth/issuer"), (audience, "/auth/audience")] {
                let fits = claim
                    .as_ref()
                    .is_none_or(|claim| (1..=CLAIM_MAX_BYTES).contains(&claim.len()));
                faults.require(fits, pointer, "has 1 to 1024 bytes");
            }
        }
        SourceAuth::None | SourceAuth::Bearer { .. } | SourceAuth::Signature { .. } => {}
    }
}

fn check_key_places(header: Option<&str>, query: Option<&str>, faults: &mut Faults) {
    let header = header.is_none_or(validation::is_header_name);
    faults.require(header, "/auth/header", "is not a header's name");
    let query = query.is_none_or(|query| !query.is_empty() && query.len() <= 128);
    faults.require(query, "/auth/query", "has 1 to 128 bytes");
}

fn check_jwks_url(url: Option<&str>, faults: &mut Faults) {
    let fits = |text: &str| {
        let parsed = Url::parse(text).ok();
        let http = parsed.is_some_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
        http && text.len() <= URL_MAX_BYTES
    };
    let detail = "has to be an http or https URL of at most 2048 bytes";
    faults.require(url.is_none_or(fits), "/auth/jwks_url", detail);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(auth: &str, expected: &[&str]) {
        let auth: SourceAuth = serde_json::from_str(auth).unwrap();
        let mut faults = Faults::default();
        check_auth(&auth, &mut faults);
        let found = faults.finish().err().unwrap_or_default();
        let found: Vec<_> = found.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(found, expected, "{auth:?}");
    }

    #[test]
    fn what_can_t_be_meant_is_named() {
        check(r#"{"type":"none"}"#, &[]);
        check(r#"{"type":"api_key","header":"X Key"}"#, &["/auth/header"]);
        check(r#"{"type":"basic","username":"erp","password":"p"}"#, &[]);
        check(
            r#"{"type":"basic","username":"e:rp","password":"p"}"#,
            &["/auth/username"],
        );
        check(r#"{"type":"jwt"}"#, &["/auth"]);
        check(
            r#"{"type":"jwt","jwks_url":"https://login.example.com/keys","issuer":"x"}"#,
            &[],
        );
        check(
            r#"{"type":"jwt","jwks_url":"ftp://a/b","audience":""}"#,
            &["/auth/jwks_url", "/auth/audience"],
        );
        check(r#"{"type":"jwt","public_key":"no"}"#, &["/auth/public_key"]);
    }
}
