//! Turns what the HTTP client saw into what the order engine judges and the journal keeps.

use hookrail_domain::{
    Millis,
    delivery::{Attempt, ErrorCode, Failure, KEPT_RESPONSE_BYTES},
    render,
    retry::AttemptResult,
};
use hookrail_outbound::{AttemptResult as Exchange, MadeRequest};

/// Longest `Retry-After` that is looked at, milliseconds: 30 days.
const MAX_RETRY_AFTER_MS: Millis = 30 * 24 * 3600 * 1000;

/// What the engine judges.
pub(crate) fn result(exchange: &Exchange, now: Millis) -> AttemptResult {
    match (&exchange.error, &exchange.response) {
        (Some(error), _) => AttemptResult::Failed(error.code),
        (None, Some(response)) => AttemptResult::Answered {
            status: response.status,
            retry_after_ms: response
                .header("retry-after")
                .and_then(|value| retry_after(value, now)),
        },
        (None, None) => AttemptResult::Failed(ErrorCode::Connect),
    }
}

/// Seconds or an HTTP date (RFC 9110, section 10.2.3), as a wait from `now`.
fn retry_after(value: &str, now: Millis) -> Option<Millis> {
    let value = value.trim();
    let wait = match value.parse::<i64>() {
        Ok(seconds) => seconds.checked_mul(1000)?,
        Err(_) => render::parse_http_date(value)? - now,
    };
    (0..=MAX_RETRY_AFTER_MS).contains(&wait).then_some(wait)
}

/// What the journal keeps of the attempt.
pub(crate) fn attempt(
    exchange: &Exchange,
    made: &MadeRequest,
    number: u32,
    epoch: u64,
    started_at: Millis,
) -> Attempt {
    let response = exchange.response.as_ref();
    Attempt {
        number,
        epoch,
        started_at,
        duration_ms: u64::try_from(exchange.duration_ms).unwrap_or_default(),
        method: made.request.method.clone(),
        url: made.request.url.clone(),
        request_headers: made.kept_headers.clone(),
        status: response.map(|response| response.status),
        response_headers: response
            .map(|response| response.headers.clone())
            .unwrap_or_default(),
        response_body: response
            .map(|response| kept(&response.body).to_vec())
            .unwrap_or_default(),
        failure: failure(exchange),
    }
}

/// The beginning of a body: what was read for a caller may be much more than the journal keeps.
fn kept(body: &[u8]) -> &[u8] {
    &body[..body.len().min(KEPT_RESPONSE_BYTES)]
}

fn failure(exchange: &Exchange) -> Option<Failure> {
    if let Some(error) = &exchange.error {
        return Some(Failure {
            code: error.code,
            detail: error.detail.clone(),
        });
    }
    let status = exchange.response.as_ref()?.status;
    let failed = !(200..300).contains(&status);
    failed.then(|| Failure {
        code: ErrorCode::Status,
        detail: format!("the receiver answered {status}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_within_bounds() {
        let now = render::parse_rfc3339("2026-11-22T10:00:00.000Z").unwrap();
        for (value, expected) in [
            ("120", Some(120_000)),
            (" 0 ", Some(0)),
            ("Sun, 22 Nov 2026 10:00:05 GMT", Some(5_000)),
            ("Sun, 22 Nov 2026 09:00:00 GMT", None),
            ("-1", None),
            ("soon", None),
            ("99999999999999999", None),
        ] {
            assert_eq!(retry_after(value, now), expected, "{value}");
        }
    }
}
