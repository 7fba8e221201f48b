//! The headers by which a receiver knows that a request is its sender's.

use hookrail_domain::Millis;
use hookrail_domain::destination::{HmacEncoding, HmacHash, Signed, Signing, SigningAlgorithm};
use hookrail_domain::secret::Secret;
use hookrail_domain::signature::{self, HmacForm, PrivateKey, SigningKey, plain_hmac};

use crate::destination_request::{RequestContent, RequestError};

/// Header that carries the Standard Webhooks signature.
const SIGNATURE_HEADER: &str = "webhook-signature";
const SECRETS: &str = "/signing/secrets";

/// The headers of a signature over the attempt's own time; names in lower case. While secrets are rotated
/// Standard Webhooks has one signature per secret in use.
///
/// # Errors
/// Where no secret is in use, or one is none.
pub(crate) fn signature_headers(
    signing: &Signing,
    content: &RequestContent<'_>,
    now: Millis,
) -> Result<Vec<(String, String)>, RequestError> {
    let timestamp_s = now / 1000;
    match signing {
        Signing::None => Ok(Vec::new()),
        Signing::StandardWebhooks {
            algorithm, secrets, ..
        } => {
            let secrets = in_use(secrets, now)?;
            let value = standard(*algorithm, &secrets, content, timestamp_s)?;
            Ok(vec![(SIGNATURE_HEADER.to_owned(), value)])
        }
        Signing::Hmac {
            header,
            algorithm,
            encoding,
            prefix,
            signed,
            timestamp_header,
            multiple,
            secrets,
        } => {
            let mut secrets = in_use(secrets, now)?;
            if !multiple {
                secrets.truncate(1);
            }
            let form = form((*algorithm, *encoding), prefix, *signed);
            let sign = |secret: &&str| plain_hmac(form, secret, timestamp_s, &content.body);
            let value = secrets.iter().map(sign).collect::<Vec<_>>().join(" ");
            let time = timestamp_header
                .as_ref()
                .map(|name| (name.to_ascii_lowercase(), timestamp_s.to_string()));
            let mut headers = vec![(header.to_ascii_lowercase(), value)];
            headers.extend(time);
            Ok(headers)
        }
    }
}

fn form((hash, encoding): (HmacHash, HmacEncoding), prefix: &str, signed: Signed) -> HmacForm<'_> {
    HmacForm {
        hash,
        encoding,
        prefix,
        signed,
    }
}

fn standard(
    algorithm: SigningAlgorithm,
    secrets: &[&str],
    content: &RequestContent<'_>,
    timestamp_s: i64,
) -> Result<String, RequestError> {
    let (id, body) = (content.webhook_id, &content.body);
    Ok(match algorithm {
        SigningAlgorithm::HmacSha256 => {
            let keys: Result<Vec<_>, _> = secrets.iter().map(|secret| SigningKey::parse(secret)).collect();
            signature::sign_all(&keys?, id, timestamp_s, body)
        }
        SigningAlgorithm::Ed25519 => {
            let keys: Result<Vec<_>, _> = secrets.iter().map(|secret| PrivateKey::parse(secret)).collect();
            signature::sign_all_asymmetric(&keys?, id, timestamp_s, body)
        }
    })
}

/// The secrets in use, newest first: at least one.
fn in_use(secrets: &[Secret], now: Millis) -> Result<Vec<&str>, RequestError> {
    let active: Vec<&str> = secrets.iter().filter_map(|secret| secret.active(now)).collect();
    if active.is_empty() {
        Err(RequestError::NoSecret(SECRETS))
    } else {
        Ok(active)
    }
}
