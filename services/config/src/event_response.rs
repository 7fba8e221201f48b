//! `/events/{id}/response`: what the sender of an event was answered, or could have been.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookrail_domain::event::{EventStatus, Reply};
use hookrail_domain::ids::EventId;
use hookrail_domain::json::Json;
use hookrail_domain::respond::Shown;
use hookrail_runtime::{Problem, clock};
use hookrail_store::queries;

use crate::answer;
use crate::authenticated::Authenticated;
use crate::error::ApiError;
use crate::found_event::FoundEvent;
use crate::shown::pairs;
use crate::state::ConfigState;

/// The statuses of deliveries that may still bring the answer.
const UNSETTLED: [&str; 2] = ["pending", "parked"];

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/events/{id}/response")
            .route(web::get().to(read))
            .route(web::head().to(read)),
    );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(read))]
pub(crate) struct Docs;

/// Read what the sender of an event was answered, where its source is one of request-response
#[utoipa::path(get, path = "/api/v1/events/{id}/response", tag = "events", operation_id = "readEventResponse",
    params(crate::openapi::IdParam),
    responses(
        (status = 200, description = "`status`, `headers` and `body_base64` of the answer, late ones included"),
        (status = 404, description = "`not-found`: no such event; `no-response`: its sender did not ask for an answer; `response-pending`: the answer is still to come", body = crate::openapi::ProblemDocument),
        (status = 410, description = "`response-expired`: the answer is no longer kept", body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let found = FoundEvent::find(&state, sender.workspace.id, &id).await?;
    let Some(event) = &found.event else {
        return Ok(expired());
    };
    let Some(reply) = &event.reply else {
        let title = "The event's sender did not ask for an answer";
        return Ok(Problem::new(StatusCode::NOT_FOUND, "no-response", title).to_response());
    };
    let response = state.broker.response(&reply.request).await?;
    let outcome = response.and_then(|response| Some((response.outcome?, response.event)));
    match outcome {
        Some((outcome, of)) => Ok(answer::json(&shown(&outcome.shown(of)))),
        None if is_pending(&state, &found, event.id, reply).await? => {
            let title = "The answer is still to come";
            Ok(Problem::new(StatusCode::NOT_FOUND, "response-pending", title).to_response())
        }
        None => Ok(expired()),
    }
}

/// Whether the answer may still come: the event waits to be processed, or one of its deliveries to be sent.
async fn is_pending(
    state: &ConfigState,
    found: &FoundEvent,
    event: EventId,
    reply: &Reply,
) -> Result<bool, ApiError> {
    let is_received = found.status() == EventStatus::Received.as_str();
    if is_received || clock::now_ms() < reply.waits_until {
        return Ok(true);
    }
    let deliveries = queries::deliveries::of_event(state.store.reader(), event).await?;
    let unsettled = |status: &str| UNSETTLED.contains(&status);
    Ok(deliveries.iter().any(|delivery| unsettled(&delivery.status)))
}

fn expired() -> HttpResponse {
    let title = "The answer is no longer kept";
    Problem::new(StatusCode::GONE, "response-expired", title).to_response()
}

fn shown(answer: &Shown) -> Json {
    Json::from([
        ("status", Json::from(i64::from(answer.status))),
        ("headers", pairs(&answer.headers)),
        ("body_base64", STANDARD.encode(&answer.body).into()),
    ])
}
