//! The HTTP request of a destination: what every delivery, probe and test to it has in common.
//!
//! Knows headers, credentials and signature of a definition. Doesn't know deliveries, and renders no body.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use hookrail_domain::{
    Millis,
    destination::{DestinationAuth, DestinationMethod, DestinationSpec},
    render::{self, QueryError},
    secret::Secret,
    signature::SecretError,
};
use std::sync::Arc;

use crate::connection_profile::ConnectionProfile;
use crate::outbound_request::OutboundRequest;
use crate::request_signature::signature_headers;
use crate::token_source::TokenSource;

/// Header that carries a destination's API key.
const API_KEY_HEADER: &str = "x-api-key";
/// Headers whose values are credentials wherever they come from: they are sent, and never kept.
pub(crate) const CREDENTIALS: [&str; 3] = ["authorization", API_KEY_HEADER, "webhook-signature"];

/// What one request to a destination brings.
#[derive(Debug)]
pub struct RequestContent<'a> {
    /// What the receiver knows it by; the same in every repetition.
    pub webhook_id: &'a str,
    /// The body.
    pub body: Bytes,
    /// The body's content type. A header `content-type` of the definition goes before it.
    pub content_type: Option<&'a str>,
    /// Headers of this request alone, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// A request, and what of its headers may be kept and shown.
#[derive(Debug)]
pub struct MadeRequest {
    /// What is sent. Names of headers are in lower case.
    pub request: OutboundRequest,
    /// The headers without credentials.
    pub kept_headers: Vec<(String, String)>,
}

/// Why a definition gives no request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A secret has no value, or none that is still in use.
    #[error("the definition has no secret in use at {0}")]
    NoSecret(&'static str),
    /// A signing secret can't be used.
    #[error("the signing secret can't be used: {0}")]
    SigningSecret(#[from] SecretError),
    /// The method is GET, and the body can't be a query.
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl RequestError {
    /// The definition's member that is at fault, as a JSON pointer (RFC 6901).
    pub fn pointer(&self) -> &'static str {
        match self {
            Self::NoSecret(pointer) => pointer,
            Self::SigningSecret(_) => "/signing/secrets",
            Self::Query(_) => "/method",
        }
    }
}

/// The request to `spec`'s receiver, signed at `now`. With the method GET the body's members are in the URL,
/// and what is sent and signed has no body.
///
/// # Errors
/// When a secret of the definition is missing, over, or no signing secret; when the body can't be a query.
pub fn make_request(
    spec: &DestinationSpec,
    mut content: RequestContent<'_>,
    now: Millis,
) -> Result<MadeRequest, RequestError> {
    let url = match spec.method {
        DestinationMethod::Get => {
            content.content_type = None;
            let body = std::mem::take(&mut content.body);
            render::url_with_members(&spec.url, &body)?
        }
        _ => spec.url.clone(),
    };
    let secret = secret_headers(spec, &content, now)?;
    let kept_headers = open_headers(spec, &content, now);
    let is_kept = |name: &str| !CREDENTIALS.contains(&name) && secret.iter().all(|(other, _)| other != name);
    let mut headers = kept_headers.clone();
    let kept_headers = kept_headers
        .into_iter()
        .filter(|(name, _)| is_kept(name))
        .collect();
    headers.extend(secret);
    let timeout_ms = u64::from(spec.timeout_ms);
    let mut request = OutboundRequest::new(spec.method.as_str(), &url, content.body, timeout_ms);
    request.headers = headers;
    request.connection = ConnectionProfile::of(spec, now)?;
    request.token = TokenSource::of(&spec.auth, now)?.map(Arc::new);
    Ok(MadeRequest {
        request,
        kept_headers,
    })
}

fn open_headers(spec: &DestinationSpec, content: &RequestContent<'_>, now: Millis) -> Vec<(String, String)> {
    let own = spec
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let own: Vec<(String, String)> = own.collect();
    let mut headers = Vec::with_capacity(own.len() + content.headers.len() + 4);
    let content_type = content
        .content_type
        .filter(|_| own.iter().all(|(name, _)| name != "content-type"));
    headers.extend(content_type.map(|value| ("content-type".to_owned(), value.to_owned())));
    headers.push(("webhook-id".to_owned(), content.webhook_id.to_owned()));
    headers.push(("webhook-timestamp".to_owned(), (now / 1000).to_string()));
    headers.extend(content.headers.iter().cloned());
    headers.extend(own);
    headers
}

fn secret_headers(
    spec: &DestinationSpec,
    content: &RequestContent<'_>,
    now: Millis,
) -> Result<Vec<(String, String)>, RequestError> {
    let mut headers: Vec<(String, String)> = auth_header(&spec.auth, now)?.into_iter().collect();
    if let Some(key) = &spec.api_key {
        headers.push((
            API_KEY_HEADER.to_owned(),
            active(key, now, "/api_key")?.to_owned(),
        ));
    }
    headers.extend(signature_headers(&spec.signing, content, now)?);
    Ok(headers)
}

/// The header that carries a definition's credentials, its name in lower case.
pub(crate) fn auth_header(
    auth: &DestinationAuth,
    now: Millis,
) -> Result<Option<(String, String)>, RequestError> {
    Ok(match auth {
        DestinationAuth::None | DestinationAuth::Oauth2ClientCredentials { .. } => None,
        DestinationAuth::Header { name, value } => Some((
            name.to_ascii_lowercase(),
            active(value, now, "/auth/value")?.to_owned(),
        )),
        DestinationAuth::Basic { username, password } => {
            let pair = format!("{username}:{}", active(password, now, "/auth/password")?);
            Some((
                "authorization".to_owned(),
                format!("Basic {}", BASE64.encode(pair)),
            ))
        }
        DestinationAuth::Bearer { token } => {
            let token = active(token, now, "/auth/token")?;
            Some(("authorization".to_owned(), format!("Bearer {token}")))
        }
    })
}

pub(crate) fn active<'a>(
    secret: &'a Secret,
    now: Millis,
    pointer: &'static str,
) -> Result<&'a str, RequestError> {
    secret.active(now).ok_or(RequestError::NoSecret(pointer))
}

#[cfg(test)]
mod tests;
