//! Makes the HTTP request of an attempt from the delivery and its destination as it is now.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use hookrail_domain::{
    Millis,
    delivery::Delivery,
    destination::{DestinationAuth, DestinationSpec, Signing},
    secret::Secret,
    signature::{self, SigningKey},
};
use hookrail_outbound::OutboundRequest;

/// Header that carries a destination's API key.
const API_KEY_HEADER: &str = "x-api-key";
/// Headers whose values are credentials: they are sent, and never kept.
const CREDENTIALS: [&str; 3] = ["authorization", API_KEY_HEADER, "webhook-signature"];

/// A request, and what of its headers the journal may keep.
#[derive(Debug)]
pub(crate) struct MadeRequest {
    /// What is sent.
    pub(crate) request: OutboundRequest,
    /// The headers without credentials.
    pub(crate) kept_headers: Vec<(String, String)>,
}

/// Why no request can be made; the delivery is then dead, `render`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// The body is not in the message.
    #[error("the body is not at hand")]
    NoBody,
    /// A secret is missing from the definition.
    #[error("the destination's {0} is missing")]
    NoSecret(&'static str),
    /// A signing secret can't be used.
    #[error("the signing secret can't be used: {0}")]
    SigningSecret(String),
}

/// The request of attempt `number` at `now`.
pub(crate) fn make_request(
    delivery: &Delivery,
    spec: &DestinationSpec,
    number: u32,
    now: Millis,
) -> Result<MadeRequest, RequestError> {
    let body = delivery.body.bytes().ok_or(RequestError::NoBody)?;
    let mut headers = own_headers(delivery, number, now);
    headers.extend(spec.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())));
    let mut secret_names: Vec<String> = Vec::new();
    for (name, value) in credentials(spec, now)? {
        secret_names.push(name.clone());
        headers.push((name, value));
    }
    if let Some(value) = signature(delivery, spec, body, now)? {
        headers.push(("webhook-signature".to_owned(), value));
    }
    let kept_headers = headers.iter().filter(|(name, _)| !is_credential(name, &secret_names)).cloned().collect();
    let mut request = OutboundRequest::new(
        spec.method.as_str(),
        &spec.url,
        Bytes::copy_from_slice(body),
        u64::from(spec.timeout_ms),
    );
    request.headers = headers;
    Ok(MadeRequest { request, kept_headers })
}

fn is_credential(name: &str, secret_names: &[String]) -> bool {
    CREDENTIALS.contains(&name) || secret_names.iter().any(|secret| secret == name)
}

fn own_headers(delivery: &Delivery, number: u32, now: Millis) -> Vec<(String, String)> {
    let mut headers = Vec::with_capacity(8);
    if let Some(content_type) = &delivery.content_type {
        headers.push(("content-type".to_owned(), content_type.clone()));
    }
    headers.push(("webhook-id".to_owned(), delivery.id.to_string()));
    headers.push(("webhook-timestamp".to_owned(), (now / 1000).to_string()));
    if delivery.replay.is_none() {
        headers.push(("hookrail-sequence".to_owned(), delivery.origin.to_string()));
    }
    headers.push(("hookrail-attempt".to_owned(), number.to_string()));
    headers.push(("traceparent".to_owned(), delivery.traceparent.clone()));
    headers
}

fn credentials(spec: &DestinationSpec, now: Millis) -> Result<Vec<(String, String)>, RequestError> {
    let mut found = Vec::new();
    match &spec.auth {
        DestinationAuth::None | DestinationAuth::Oauth2ClientCredentials { .. } => {}
        DestinationAuth::Header { name, value } => {
            found.push((name.to_ascii_lowercase(), active(value, now, "auth value")?.to_owned()));
        }
        DestinationAuth::Basic { username, password } => {
            let pair = format!("{username}:{}", active(password, now, "password")?);
            found.push(("authorization".to_owned(), format!("Basic {}", BASE64.encode(pair))));
        }
        DestinationAuth::Bearer { token } => {
            found.push(("authorization".to_owned(), format!("Bearer {}", active(token, now, "token")?)));
        }
    }
    if let Some(key) = &spec.api_key {
        found.push((API_KEY_HEADER.to_owned(), active(key, now, "API key")?.to_owned()));
    }
    Ok(found)
}

fn active<'a>(secret: &'a Secret, now: Millis, what: &'static str) -> Result<&'a str, RequestError> {
    secret.active(now).ok_or(RequestError::NoSecret(what))
}

/// The Standard Webhooks signature, one per secret in use, over the attempt's own time.
fn signature(
    delivery: &Delivery,
    spec: &DestinationSpec,
    body: &[u8],
    now: Millis,
) -> Result<Option<String>, RequestError> {
    let Signing::StandardWebhooks { secrets, .. } = &spec.signing else { return Ok(None) };
    let keys = secrets
        .iter()
        .filter_map(|secret| secret.active(now))
        .map(SigningKey::parse)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| RequestError::SigningSecret(error.to_string()))?;
    if keys.is_empty() {
        return Err(RequestError::NoSecret("signing secret"));
    }
    Ok(Some(signature::sign_all(&keys, &delivery.id.to_string(), now / 1000, body)))
}
