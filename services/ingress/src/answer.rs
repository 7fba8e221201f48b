//! What the sender gets to read.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hookrail_domain::handshake::ReadyAnswer;
use hookrail_domain::source::Acknowledgement;

use crate::refusal::Refusal;
use crate::store_event::Receipt;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Browsers must not guess what an echo is.
const NO_SNIFFING: (HeaderName, &str) = (X_CONTENT_TYPE_OPTIONS, "nosniff");

/// 202 with the event's id, or 200 with that of an earlier request; or what the source wants said.
pub(crate) fn receipt(receipt: &Receipt, wanted: Option<&Acknowledgement>) -> HttpResponse {
    let (status, event_id) = match receipt {
        Receipt::Accepted(event_id) => (StatusCode::ACCEPTED, event_id),
        Receipt::Duplicate { event_id, .. } => (StatusCode::OK, event_id),
    };
    if let Some(wanted) = wanted {
        return acknowledgement(wanted, event_id);
    }
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, JSON))
        .body(format!(r#"{{"event_id":"{event_id}"}}"#))
}

/// The source's own answer to an event.
fn acknowledgement(wanted: &Acknowledgement, event_id: &str) -> HttpResponse {
    let mut answer = HttpResponse::build(status(wanted.status));
    if let Some(content_type) = wanted.default_content_type() {
        answer.insert_header((CONTENT_TYPE, content_type));
    }
    for (name, value) in &wanted.headers {
        answer.insert_header((name.as_str(), value.as_str()));
    }
    answer.body(wanted.body_for(event_id))
}

/// The answer to a request that is no event.
pub(crate) fn handshake(ready: ReadyAnswer) -> HttpResponse {
    let mut answer = HttpResponse::build(status(ready.status));
    answer.insert_header(NO_SNIFFING);
    if !ready.body.is_empty() {
        answer.insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"));
    }
    for (name, value) in &ready.headers {
        answer.insert_header((name.as_str(), value.as_str()));
    }
    answer.body(ready.body)
}

fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::OK)
}

/// The problem document of a refusal, with the source's `challenge` at 401. `keep_connection` is false
/// where the request wasn't read to its end.
pub(crate) fn refusal(
    refusal: &Refusal,
    challenge: Option<&'static str>,
    keep_connection: bool,
) -> HttpResponse {
    let mut answer = match refusal {
        Refusal::Mismatch { is_empty: true, .. } => HttpResponse::build(refusal.status()).finish(),
        _ => refusal.problem().to_response(),
    };
    let headers = answer.headers_mut();
    if let Some(seconds) = refusal.retry_after_s() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let (Refusal::Unauthorized(_), Some(challenge)) = (refusal, challenge) {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Refusal::Method(allowed) = refusal
        && let Ok(allowed) = HeaderValue::from_str(allowed)
    {
        headers.insert(ALLOW, allowed);
    }
    if !keep_connection {
        answer
            .head_mut()
            .set_connection_type(actix_web::http::ConnectionType::Close);
    }
    answer
}
