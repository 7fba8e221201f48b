//! `/events`: what came in, and what became of it.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookrail_domain::event::{Event, EventStatus};
use hookrail_domain::json::{Json, Members};
use hookrail_runtime::Problem;
use hookrail_store::IdPage;
use hookrail_store::events::EventRow;
use hookrail_store::queries::{self, events::EventFilter};

use crate::answer;
use crate::authenticated::Authenticated;
use crate::body_search;
use crate::definition::time;
use crate::deliveries;
use crate::entities::searched;
use crate::error::ApiError;
use crate::found_event::FoundEvent;
use crate::paging::{PageQuery, page, page_up_to};
use crate::parameters::{Parameters, wrong};
use crate::posted_events;
use crate::queued_events;
use crate::shown::{optional, pairs};
use crate::state::ConfigState;

/// The statuses that can be asked for.
const STATUSES: [&str; 5] = ["received", "processed", "filtered", "failed", "duplicate"];
/// The media type of bytes of no declared type.
const BYTES_TYPE: &str = "application/octet-stream";

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/events")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(posted_events::post)),
        )
        .service(
            web::resource("/events/{id}")
                .route(web::get().to(read))
                .route(web::head().to(read)),
        )
        .service(
            web::resource("/events/{id}/raw")
                .route(web::get().to(raw))
                .route(web::head().to(raw)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, read, raw))]
pub(crate) struct Docs;

/// List the events that were looked at: processed ones and those that a paused source holds; or with
/// `status=received` all that wait, held or queued. A page of a search by `q` may be
/// shorter than the limit: the list ends where `next_cursor` is null
#[utoipa::path(get, path = "/api/v1/events", tag = "events", operation_id = "listEvents",
    params(crate::openapi::ListParams,
        ("source" = Option<String>, Query, description = "A source's id"),
        ("status" = Option<String>, Query, description = "processed, filtered, failed or duplicate; `received` lists what waits instead, held or queued: the other filters but `source`, `since` and `until` don't go with it"),
        ("since" = Option<String>, Query, description = "Accepted at or after this time"),
        ("until" = Option<String>, Query, description = "Accepted before this time"),
        ("entity" = Option<String>, Query, description = "About this entity: `type/unique_id` or `type:unique_id`"),
        ("q" = Option<String>, Query, description = "An event's id or type, or what its entities have: a type, a unique id, or words of their title and fields. With `since`, an event is found by its body too: by any text in it as received, or in the decoded payload's names and values, whatever its case. Not together with `entity` or `status=received`")),
    responses((status = 200, description = "A page of events; without `status` none that are queued, but those that are held"),
        (status = 409, description = "`too-many-queued`: more are queued than can be listed", body = crate::openapi::ProblemDocument),
        (status = 422, body = crate::openapi::ProblemDocument)))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
    parameters: Parameters,
) -> Result<HttpResponse, ApiError> {
    let filter = EventFilter {
        workspace: sender.workspace_id(),
        source: parameters.text("source").map(str::to_owned),
        status: parameters.word("status", &STATUSES)?,
        span: parameters.span()?,
        entity: parameters.text("entity").map(entity).transpose()?,
    };
    let text = searched(&parameters)?;
    if filter.status.as_deref() == Some(EventStatus::Received.as_str()) {
        if text.is_some() {
            return Err(wrong(
                "q finds processed events: what is queued has not been read yet",
            ));
        }
        return queued_events::list(&state, sender.workspace.id, &filter, &query).await;
    }
    if let Some(text) = text {
        if filter.entity.is_some() {
            return Err(wrong("q and entity don't go together"));
        }
        let part = IdPage {
            limit: query.limit,
            ..query.by_id()
        };
        // Bodies are read one by one: only within a time range.
        let found = match filter.span.since {
            Some(_) => body_search::search(&state, &filter, &text, &part).await?,
            None => queries::event_search::search(state.store.reader(), &filter, &text, &part).await?,
        };
        return Ok(page_up_to(found.next, &found.rows, |row| {
            Json::Object(summary(row))
        }));
    }
    let rows = queries::events::list(state.store.reader(), &filter, &query.by_id()).await?;
    Ok(page(
        &query,
        rows,
        |row| row.id.clone(),
        |row| Json::Object(summary(row)),
    ))
}

/// Read an event: its request, its payload, what became of it
#[utoipa::path(get, path = "/api/v1/events/{id}", tag = "events", operation_id = "readEvent",
    params(crate::openapi::IdParam),
    responses((status = 200, description = "The event; `payload_expired` once its bytes are gone"), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let found = FoundEvent::find(&state, sender.workspace.id, &id).await?;
    let reader = state.store.reader();
    let mut members = match (&found.row, &found.event) {
        (Some(row), _) => summary(row),
        (None, Some(event)) => queued(event, found.status()),
        (None, None) => return Err(ApiError::NotFound("event")),
    };
    if let Some(event) = &found.event {
        members.extend(request(event));
    }
    members.insert("payload".to_owned(), found.payload(&state).await?);
    members.insert("payload_expired".to_owned(), found.is_expired().into());
    let about = queries::events::entities_of(reader, found.id).await?;
    let about = about.iter().map(|row| {
        Json::from([
            ("type", Json::from(row.entity_type.as_str())),
            ("unique_id", row.unique_id.as_str().into()),
            ("change", row.change.as_str().into()),
        ])
    });
    members.insert("entities".to_owned(), about.collect());
    let planned = queries::deliveries::of_event(reader, found.id).await?;
    members.insert(
        "deliveries".to_owned(),
        planned.iter().map(deliveries::show).collect(),
    );
    Ok(answer::json(&Json::Object(members)))
}

/// Read an event's body as it was received
#[utoipa::path(get, path = "/api/v1/events/{id}/raw", tag = "events", operation_id = "readEventRaw",
    params(crate::openapi::IdParam),
    responses((status = 200, description = "The bytes, with the content type as received"), (status = 410, body = crate::openapi::ProblemDocument)))]
async fn raw(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let found = FoundEvent::find(&state, sender.workspace.id, &id).await?;
    let Some(body) = found.event.as_ref().and_then(|event| event.body.bytes()) else {
        let gone = Problem::new(
            StatusCode::GONE,
            "payload-expired",
            "The payload is no longer kept",
        );
        return Ok(gone.to_response());
    };
    let content_type = found
        .event
        .as_ref()
        .and_then(|event| event.content_type.as_deref());
    // The bytes are a stranger's: a browser must neither show nor run them in the API's origin.
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type.unwrap_or(BYTES_TYPE)))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CONTENT_DISPOSITION, "attachment"))
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
        .body(body.to_vec()))
}

/// `type/unique_id` or `type:unique_id`; a type has neither sign in it.
fn entity(text: &str) -> Result<(String, String), ApiError> {
    let split = text
        .split_once(['/', ':'])
        .filter(|(entity_type, id)| !entity_type.is_empty() && !id.is_empty());
    let (entity_type, id) = split.ok_or_else(|| wrong("entity has to be type/unique_id"))?;
    Ok((entity_type.to_owned(), id.to_owned()))
}

/// An event without its request.
pub(crate) fn summary(row: &EventRow) -> Members {
    let error = row.error_code.as_ref().map(|code| {
        Json::from([
            ("code", Json::from(code.as_str())),
            ("detail", optional(row.error_detail.as_deref())),
        ])
    });
    members([
        ("id", row.id.as_str().into()),
        ("source", optional(row.source.as_deref())),
        ("event_type", row.event_type.as_str().into()),
        ("status", row.status.as_str().into()),
        ("error", error.unwrap_or_default()),
        ("duplicate_of", optional(row.duplicate_of.as_deref())),
        ("accepted_at", time(row.accepted_at)),
        ("processed_at", processed_at(row)),
        ("method", row.method.as_str().into()),
        ("content_type", optional(row.content_type.as_deref())),
        ("size", row.size.into()),
        ("revision", row.revision.into()),
        ("trace_id", row.trace_id.as_str().into()),
    ])
}

/// When the event was processed; null while it is held.
fn processed_at(row: &EventRow) -> Json {
    match row.status == EventStatus::Received.as_str() {
        true => Json::Null,
        false => time(row.processed_at),
    }
}

/// An event that is not processed, without its request.
pub(crate) fn queued(event: &Event, status: &str) -> Members {
    members([
        ("id", event.id.to_string().into()),
        (
            "source",
            event
                .source
                .map_or(Json::Null, |source| source.to_string().into()),
        ),
        ("event_type", event.event_type.as_str().into()),
        ("status", status.into()),
        ("error", Json::Null),
        ("duplicate_of", Json::Null),
        ("accepted_at", time(event.accepted_at)),
        ("processed_at", Json::Null),
        ("method", event.method.as_str().into()),
        ("content_type", optional(event.content_type.as_deref())),
        ("size", event.body.size().into()),
        ("revision", event.revision.into()),
        ("trace_id", event.trace_id().into()),
    ])
}

fn request(event: &Event) -> Members {
    let raw = event
        .body
        .bytes()
        .map_or(Json::Null, |body| STANDARD.encode(body).into());
    members([
        ("headers", pairs(&event.headers)),
        ("query", pairs(&event.query)),
        ("remote_addr", optional(event.remote_addr.as_deref())),
        ("ordering_key", optional(event.ordering_key.as_deref())),
        (
            "current_context",
            event.current_context.clone().unwrap_or_default(),
        ),
        ("raw_base64", raw),
    ])
}

fn members<const LEN: usize>(members: [(&str, Json); LEN]) -> Members {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_is_named_by_type_and_unique_id() {
        let read = |text| entity(text).ok();
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(read("customer:42"), pair("customer", "42"));
        assert_eq!(read("customer/a:b/c"), pair("customer", "a:b/c"));
        assert_eq!(read("customer"), None);
        assert_eq!(read("/42"), None);
    }
}
