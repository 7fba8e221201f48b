//! The request of a probe or a test: what a delivery would look like, marked as a test.

use hookrail_domain::Millis;
use hookrail_domain::destination::DestinationSpec;
use hookrail_domain::json::{Json, Members};
use hookrail_outbound::{MadeRequest, RequestContent, RequestError, make_request};

use crate::sample_body::SampleBody;

/// The header that marks a test: it tells a receiver that nothing happened.
pub(crate) const TEST_HEADER: &str = "hookrail-test";
/// What is shown in the place of a credential.
const HIDDEN: &str = "***";

/// The request that a destination's receiver gets. `webhook_id` is the same when it is repeated.
pub(crate) fn build(
    spec: &DestinationSpec,
    webhook_id: &str,
    body: SampleBody,
    now: Millis,
) -> Result<MadeRequest, RequestError> {
    let mut headers = body.headers;
    headers.push((TEST_HEADER.to_owned(), "true".to_owned()));
    let content = RequestContent {
        webhook_id,
        body: body.bytes.into(),
        content_type: Some(body.content_type),
        headers,
    };
    make_request(spec, content, now)
}

/// The request as it is shown: without credentials.
pub(crate) fn show(made: &MadeRequest) -> Json {
    let shown = |header: &(String, String)| {
        let (name, value) = header;
        let value = if made.kept_headers.contains(header) {
            value.as_str()
        } else {
            HIDDEN
        };
        (name.clone(), Json::from(value))
    };
    let headers: Members = made.request.headers.iter().map(shown).collect();
    Json::from([
        ("method", Json::from(made.request.method.as_str())),
        ("url", made.request.url.as_str().into()),
        ("headers", Json::Object(headers)),
        (
            "body",
            String::from_utf8_lossy(&made.request.body).into_owned().into(),
        ),
    ])
}
