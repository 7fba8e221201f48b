//! What the sender gets to read.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use crate::refusal::Refusal;
use crate::store_event::Receipt;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// 202 with the event's id, or 200 with that of an earlier request.
pub(crate) fn receipt(receipt: &Receipt) -> HttpResponse {
    let (status, event_id) = match receipt {
        Receipt::Accepted(event_id) => (StatusCode::ACCEPTED, event_id),
        Receipt::Duplicate { event_id, .. } => (StatusCode::OK, event_id),
    };
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, JSON))
        .body(format!(r#"{{"event_id":"{event_id}"}}"#))
}

/// The problem document of a refusal, with the source's `challenge` at 401. `keep_connection` is false where the request wasn't read to
/// its end.
pub(crate) fn refusal(
    refusal: &Refusal,
    challenge: Option<&'static str>,
    keep_connection: bool,
) -> HttpResponse {
    let mut answer = refusal.problem().to_response();
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
