//! What a caller of request-response gets to read.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use hookrail_domain::ids::EventId;
use hookrail_domain::respond::Response;
use hookrail_runtime::Problem;

/// The first segment of the URLs under which late answers are asked for.
pub(crate) const LATE_PREFIX: &str = "/r/";
/// When to ask again for an answer that is still to come, seconds.
const ASK_AGAIN_S: u32 = 1;
/// The header of RFC 7240, section 3.
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The header that names the event.
const EVENT_ID: HeaderName = HeaderName::from_static("hookrail-event-id");

/// The answer to a request, as its outcome says. `applied` are the preferences that were carried out.
pub(crate) fn answered(response: Response, applied: Option<String>) -> HttpResponse {
    let event = response.event;
    let Some(outcome) = response.outcome else {
        return pending(event);
    };
    let shown = outcome.shown(event);
    // A destination may answer with what is no final status in HTTP.
    let status = StatusCode::from_u16(shown.status)
        .ok()
        .filter(|status| status.as_u16() >= 200);
    let mut answer = HttpResponse::build(status.unwrap_or(StatusCode::BAD_GATEWAY));
    for (name, value) in &shown.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            answer.insert_header((name.as_str(), value));
        }
    }
    let mut answer = answer.body(shown.body);
    apply(&mut answer, applied);
    answer
}

/// An answer that comes later.
pub(crate) struct Later {
    pub(crate) event: EventId,
    /// The token by which it is asked for; none where that could not be arranged.
    pub(crate) token: Option<String>,
    pub(crate) applied: Option<String>,
}

impl Later {
    /// 504: the caller has waited long enough, or in vain.
    pub(crate) fn deadline(self) -> HttpResponse {
        let detail = match self.token {
            Some(_) => "the event is accepted and goes its way; its answer will be at Location",
            None => "the event is accepted and goes its way",
        };
        let problem = Problem::new(StatusCode::GATEWAY_TIMEOUT, "deadline", "No answer in time");
        let problem = problem.detail(detail).member("event_id", self.event.to_string());
        self.complete(problem.to_response())
    }

    /// 202: the caller did not want to wait, or no longer.
    pub(crate) fn accepted(self) -> HttpResponse {
        let answer = pending(self.event);
        self.complete(answer)
    }

    fn complete(self, mut answer: HttpResponse) -> HttpResponse {
        let location = self.token.map(|token| format!("{LATE_PREFIX}{token}"));
        if let Some(location) = location.and_then(|text| HeaderValue::try_from(text).ok()) {
            answer.headers_mut().insert(LOCATION, location);
        }
        name_event(&mut answer, self.event);
        apply(&mut answer, self.applied);
        answer
    }
}

/// 202 with the event's id: its answer is still to come.
pub(crate) fn pending(event: EventId) -> HttpResponse {
    let mut answer = HttpResponse::Accepted()
        .content_type("application/json")
        .insert_header((RETRY_AFTER, ASK_AGAIN_S))
        .body(format!(r#"{{"event_id":"{event}"}}"#));
    name_event(&mut answer, event);
    answer
}

fn name_event(answer: &mut HttpResponse, event: EventId) {
    if let Ok(event) = HeaderValue::try_from(event.to_string()) {
        answer.headers_mut().insert(EVENT_ID, event);
    }
}

fn apply(answer: &mut HttpResponse, applied: Option<String>) {
    if let Some(applied) = applied.and_then(|text| HeaderValue::try_from(text).ok()) {
        answer.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
}
