//! The HTTP request of a fetcher: what its definition asks for an id, with its credentials.
//!
//! Doesn't know what is done with the answer.

use std::sync::Arc;

use hookrail_domain::{
    Millis,
    fetcher::{FetcherSpec, ids::FetchId, request::FetchRequestError},
};

use crate::destination_request::{CREDENTIALS, MadeRequest, RequestError, auth_header};
use crate::outbound_request::OutboundRequest;
use crate::token_source::TokenSource;

/// Why a fetcher gives no request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchFault {
    /// The id can't be asked for.
    #[error(transparent)]
    Id(#[from] FetchRequestError),
    /// A secret is missing.
    #[error(transparent)]
    Secret(#[from] RequestError),
}

/// The request by which `spec` asks for `id` at `now`; of its answer `keep_body_bytes` are kept.
///
/// # Errors
/// When the id can't be asked for, or a secret of the definition is missing.
pub fn make_fetch_request(
    spec: &FetcherSpec,
    id: &FetchId,
    keep_body_bytes: usize,
    now: Millis,
) -> Result<MadeRequest, FetchFault> {
    let asked = spec.request(id)?;
    let secret = auth_header(&spec.auth, now)?;
    let is_kept = |name: &str| {
        let is_secret = secret.as_ref().is_some_and(|(secret, _)| secret == name);
        !CREDENTIALS.contains(&name) && !is_secret
    };
    let own = asked.headers.iter().filter(|(name, _)| is_kept(name));
    let kept_headers = own.cloned().collect();
    let timeout_ms = u64::from(spec.timeout_ms);
    let mut request = OutboundRequest::new(asked.method, &asked.url, asked.body.into(), timeout_ms);
    request.headers = asked.headers;
    request.headers.extend(secret);
    request.token = TokenSource::of(&spec.auth, now)?.map(Arc::new);
    request.keep_body_bytes = keep_body_bytes;
    Ok(MadeRequest {
        request,
        kept_headers,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hookrail_domain::{
        destination::{DestinationAuth, RetryPolicy},
        entity::UniqueId,
        fetcher::{FetchMethod, On404},
        jsonpath::JsonPath,
        secret::Secret,
    };

    use super::*;

    #[test]
    fn credentials_are_sent_and_never_kept() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let spec = FetcherSpec {
            name: "f".to_owned(),
            labels: BTreeMap::new(),
            entity_type: "t".to_owned(),
            url: "http://h/{{id}}".to_owned(),
            method: FetchMethod::Get,
            headers: [header("X-Team", "a"), header("Authorization", "old")].into(),
            body: None,
            auth: DestinationAuth::Bearer {
                token: Secret::new("secret"),
            },
            entity_path: None,
            unique_id: UniqueId::One(JsonPath::root()),
            timeout_ms: 1_000,
            retry: RetryPolicy::default(),
            rate_limit: None,
            max_in_flight: 1,
            on_404: On404::Delete,
        };
        let id = FetchId {
            text: "42".to_owned(),
            parts: vec!["42".to_owned()],
        };
        let made = make_fetch_request(&spec, &id, 10, 0).unwrap();
        let sent = ("authorization".to_owned(), "Bearer secret".to_owned());
        assert!(made.request.headers.contains(&sent));
        let kept: Vec<&str> = made.kept_headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(kept, ["x-team", "accept"]);
        assert_eq!(
            (made.request.method.as_str(), made.request.url.as_str()),
            ("GET", "http://h/42")
        );
    }
}
