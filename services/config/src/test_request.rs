//! The request of a probe or a test: what a delivery would look like, marked as a test.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hookrail_domain::Millis;
use hookrail_domain::destination::{DestinationAuth, DestinationSpec, Signing};
use hookrail_domain::json::{Json, Members};
use hookrail_domain::signature::{SecretError, SigningKey, sign_all};
use hookrail_outbound::OutboundRequest;

/// The header that tells a receiver that nothing happened.
const TEST_HEADER: &str = "hookrail-test";
/// What is shown in the place of a secret.
const HIDDEN: &str = "***";

/// The request that a destination's receiver gets. `webhook_id` is the same when it is repeated.
pub(crate) fn build(
    spec: &DestinationSpec,
    webhook_id: &str,
    body: Vec<u8>,
    now: Millis,
) -> Result<OutboundRequest, SecretError> {
    let timestamp_s = now / 1000;
    let mut headers: Vec<(String, String)> = vec![header("content-type", "application/json")];
    headers.extend(spec.headers.iter().map(|(name, value)| header(name, value)));
    headers.extend(credentials(spec));
    headers.push(header("webhook-id", webhook_id));
    headers.push(header("webhook-timestamp", &timestamp_s.to_string()));
    if let Some(signature) = signature(spec, webhook_id, timestamp_s, &body, now)? {
        headers.push(header("webhook-signature", &signature));
    }
    headers.push(header(TEST_HEADER, "true"));
    let method = spec.method.as_str();
    let mut request = OutboundRequest::new(method, &spec.url, Bytes::from(body), u64::from(spec.timeout_ms));
    request.headers = headers;
    Ok(request)
}

/// The request as it is shown: without credentials.
pub(crate) fn show(request: &OutboundRequest, spec: &DestinationSpec) -> Json {
    let secret: Vec<String> = credentials(spec).into_iter().map(|(name, _)| name).collect();
    let shown = |(name, value): &(String, String)| {
        let hide = secret.iter().any(|hidden| hidden.eq_ignore_ascii_case(name));
        (
            name.to_ascii_lowercase(),
            Json::from(if hide { HIDDEN } else { value.as_str() }),
        )
    };
    let headers: Members = request.headers.iter().map(shown).collect();
    Json::from([
        ("method", Json::from(request.method.as_str())),
        ("url", request.url.as_str().into()),
        ("headers", Json::Object(headers)),
        ("body", String::from_utf8_lossy(&request.body).into_owned().into()),
    ])
}

fn credentials(spec: &DestinationSpec) -> Vec<(String, String)> {
    let value = |secret: &hookrail_domain::secret::Secret| secret.value.clone().unwrap_or_default();
    let mut headers = match &spec.auth {
        DestinationAuth::Header { name, value: secret } => vec![header(name, &value(secret))],
        DestinationAuth::Basic { username, password } => {
            let pair = STANDARD.encode(format!("{username}:{}", value(password)));
            vec![header("authorization", &format!("Basic {pair}"))]
        }
        DestinationAuth::Bearer { token } => {
            vec![header("authorization", &format!("Bearer {}", value(token)))]
        }
        DestinationAuth::None | DestinationAuth::Oauth2ClientCredentials { .. } => Vec::new(),
    };
    headers.extend(spec.api_key.as_ref().map(|key| header("x-api-key", &value(key))));
    headers
}

fn signature(
    spec: &DestinationSpec,
    webhook_id: &str,
    timestamp_s: i64,
    body: &[u8],
    now: Millis,
) -> Result<Option<String>, SecretError> {
    let Signing::StandardWebhooks { secrets, .. } = &spec.signing else {
        return Ok(None);
    };
    let active = secrets.iter().filter_map(|secret| secret.active(now));
    let keys = active.map(SigningKey::parse).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(sign_all(&keys, webhook_id, timestamp_s, body)))
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
