//! Knowing the sender by what its request's head shows. The answer to a failure is one and the same; what
//! failed is told to the source's owner only. Comparisons take the same time wherever they differ.

use std::borrow::Cow;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookrail_domain::Millis;
use hookrail_domain::api_key::{find_key, same_text};
use hookrail_domain::ids::KeyId;
use hookrail_domain::jwt::{self, JwtKey, WantedClaims};
use hookrail_domain::secret::Secret;
use hookrail_domain::source::SourceAuth;

use crate::intake::Intake;
use crate::published_keys::PublishedKeys;
use crate::refusal::Refusal;

/// Lets the sender in, with the credential that did.
///
/// # Errors
/// Which check failed, for the source's owner; or that it can't be checked now.
pub(crate) async fn authenticate(
    intake: &Intake,
    published: &PublishedKeys,
    headers: &HeaderMap,
    query: &[(String, String)],
    now: Millis,
) -> Result<Option<KeyId>, Refusal> {
    let checked = match &intake.source.spec.auth {
        // A signature is checked once the body is here.
        SourceAuth::None | SourceAuth::Signature { .. } => Ok(()),
        SourceAuth::ApiKey { .. } => return by_key(intake, headers, query).map(Some),
        SourceAuth::Basic { username, password } => by_password(headers, username, password, now),
        SourceAuth::Bearer { token } => by_token(headers, token, now),
        SourceAuth::Jwt { .. } => return by_jwt(intake, published, headers, now).await.map(|()| None),
    };
    checked.map(|()| None).map_err(unauthorized)
}

fn unauthorized(detail: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::Unauthorized(detail.into())
}

fn by_key(intake: &Intake, headers: &HeaderMap, query: &[(String, String)]) -> Result<KeyId, Refusal> {
    let shown = shown_key(intake, headers, query);
    let shown = shown.ok_or_else(|| unauthorized("the request has no API key"))?;
    let key = find_key(&intake.source.api_keys, shown);
    key.map(|key| key.id)
        .ok_or_else(|| unauthorized("the API key is none of this source's"))
}

/// The key that the request shows; the header goes before the query.
fn shown_key<'a>(intake: &Intake, headers: &'a HeaderMap, query: &'a [(String, String)]) -> Option<&'a str> {
    let header = intake.key_header.as_deref().and_then(|name| headers.get(name));
    let in_header = header.and_then(|value| value.to_str().ok());
    in_header.or_else(|| {
        let name = intake.key_query.as_deref()?;
        query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    })
}

/// What the `Authorization` header shows for a scheme, whose name is in any case (RFC 9110, section 11.1).
fn shown<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (name, shown) = value.trim().split_once(' ')?;
    name.eq_ignore_ascii_case(scheme).then(|| shown.trim_start())
}

/// HTTP Basic (RFC 7617), in UTF-8.
fn by_password(
    headers: &HeaderMap,
    username: &str,
    password: &Secret,
    now: Millis,
) -> Result<(), &'static str> {
    let shown = shown(headers, "basic").ok_or("the request has no Basic credentials")?;
    let decoded = STANDARD
        .decode(shown)
        .map_err(|_| "the Basic credentials are not base64")?;
    let wanted = password.active(now).ok_or("the source's password has expired")?;
    let wanted = format!("{username}:{wanted}");
    match same_text(&decoded, wanted.as_bytes()) {
        true => Ok(()),
        false => Err("the user name or the password is wrong"),
    }
}

/// A bearer token (RFC 6750).
fn by_token(headers: &HeaderMap, token: &Secret, now: Millis) -> Result<(), &'static str> {
    let shown = shown(headers, "bearer").ok_or("the request has no bearer token")?;
    let wanted = token.active(now).ok_or("the source's token has expired")?;
    match same_text(shown.as_bytes(), wanted.as_bytes()) {
        true => Ok(()),
        false => Err("the bearer token is wrong"),
    }
}

async fn by_jwt(
    intake: &Intake,
    published: &PublishedKeys,
    headers: &HeaderMap,
    now: Millis,
) -> Result<(), Refusal> {
    let SourceAuth::Jwt {
        jwks_url,
        secret,
        issuer,
        audience,
        ..
    } = &intake.source.spec.auth
    else {
        return Err(unauthorized("the source takes no tokens"));
    };
    let token = shown(headers, "bearer").ok_or_else(|| unauthorized("the request has no bearer token"))?;
    let wanted = WantedClaims {
        issuer: issuer.as_deref(),
        audience: audience.as_deref(),
    };
    let mut own: Vec<JwtKey> = intake.public_key.iter().cloned().collect();
    let active = secret.as_ref().and_then(|secret| secret.active(now));
    own.extend(active.map(JwtKey::from_secret));
    let checked = jwt::check(token, &own, wanted, now);
    // What the source's own keys say needs nobody else.
    let checked = match (checked, jwks_url) {
        (Err(_), Some(url)) => {
            let keys = published.keys(url, |keys| jwt::names_unknown_key(token, keys), now);
            jwt::check(token, &keys.await?, wanted, now)
        }
        (checked, _) => checked,
    };
    checked.map_err(|error| unauthorized(error.to_string()))
}
