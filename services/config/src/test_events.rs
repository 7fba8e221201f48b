//! `POST /sources/{id}/test-events`: an event as if a sender had sent it.

use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::event::Event;
use hookrail_domain::event_type::WEBHOOK_RECEIVED;
use hookrail_domain::ids::SourceId;
use hookrail_domain::json::Json;
use hookrail_domain::partition;
use hookrail_domain::plan::NO_KEY;
use hookrail_domain::source::{OrderingMode, SourceSpec};
use serde::Deserialize;

use crate::authenticated::Authenticated;
use crate::definition::Stored;
use crate::error::ApiError;
use crate::found_event::{FoundEvent, decoded};
use crate::idempotency::once;
use crate::json_body::JsonBody;
use crate::posted_events::accepted;
use crate::state::ConfigState;
use crate::store_event::{new_event, revision_in_force, store_event};
use crate::test_request::TEST_HEADER;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.service(web::resource("/sources/{id}/test-events").route(web::post().to(send)));
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(send))]
pub(crate) struct Docs;

/// What to send.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TestEvent {
    /// The body, as JSON. Left out, it is that of the source's newest event, as it was received; a greeting
    /// where there is none.
    #[schema(value_type = Option<Object>)]
    payload: Option<Json>,
}

/// Send an event into a source
#[utoipa::path(post, path = "/api/v1/sources/{id}/test-events", tag = "sources", operation_id = "sendTestEvent",
    params(crate::openapi::IdParam, crate::openapi::WriteParams), request_body = TestEvent,
    responses((status = 202, description = "`event_id`, once it is on disk"),
        (status = 404, body = crate::openapi::ProblemDocument), (status = 409, body = crate::openapi::ProblemDocument)))]
async fn send(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let source = Stored::<SourceSpec>::find(state.store.reader(), &sender.workspace_id(), &id).await?;
    let wanted: TestEvent = body.read()?;
    if !source.spec.enabled {
        return Err(ApiError::conflict(
            "disabled",
            "the source is disabled, so it takes no events",
        ));
    }
    let of_test = event(&state, &sender, &source, wanted.payload).await?;
    once(&state, &sender, &request, &body, async |claim| {
        let mut event = of_test;
        // Where the answer is lost, the log still knows the event by the request's key.
        event.idempotency_key = claim.key().map(|key| format!("test-event {key}"));
        event.revision = revision_in_force(&state).await?;
        if event.revision < source.row.revision.unsigned_abs() {
            return Err(ApiError::Unavailable(
                "the source's last change is not in force yet".to_owned(),
            ));
        }
        let partitions = state.broker.settings().partitions;
        place(&mut event, &source.spec, partitions);
        let stored = store_event(&state, &source.row.id, &event).await?;
        let created = accepted(&stored);
        claim.keep_alone(&state, &created).await?;
        Ok(created)
    })
    .await
}

fn greeting() -> Json {
    Json::from([
        ("test", Json::from(true)),
        ("message", "Hello from Hookrail".into()),
    ])
}

/// The event to send: with this payload, or as the source's newest one.
async fn event(
    state: &ConfigState,
    sender: &Authenticated,
    source: &Stored<SourceSpec>,
    payload: Option<Json>,
) -> Result<Event, ApiError> {
    let (workspace, id) = (sender.workspace.id, source.id()?);
    let newest = match payload {
        Some(_) => None,
        None => FoundEvent::newest_of(state, workspace, id).await?,
    };
    let mut event = new_event(workspace, WEBHOOK_RECEIVED, &payload.unwrap_or_else(greeting));
    if let Some(newest) = newest.and_then(|found| found.event)
        && newest
            .body
            .bytes()
            .is_some_and(|bytes| bytes.len() <= state.broker.max_inline_bytes())
    {
        event.content_type = newest.content_type;
        event.body = newest.body;
        event.method = newest.method;
        event.query = newest.query;
    }
    let content_type = event
        .content_type
        .iter()
        .map(|value| ("content-type".to_owned(), value.clone()));
    event.headers = content_type
        .chain([(TEST_HEADER.to_owned(), "true".to_owned())])
        .collect();
    event.source = Some(id);
    Ok(event)
}

/// Gives the event the ordering key and the partition that the ingress would give it.
fn place(event: &mut Event, spec: &SourceSpec, partitions: u32) {
    let ordering = spec.effective_ordering();
    let scope = event.source.map_or(0, SourceId::as_u128);
    let partition = match ordering.mode {
        OrderingMode::None => match event.idempotency_key {
            Some(_) => partition::of_key(scope, &event.message_id(), partitions),
            None => partition::of_event(event.id, partitions),
        },
        OrderingMode::Source => partition::of_key(scope, "", partitions),
        OrderingMode::Key => {
            let path = ordering.key.as_ref().and_then(|key| key.path.as_ref()?.plain());
            event.ordering_key =
                path.and_then(|path| path.find(&decoded(event, Some(spec))?)?.identity_text());
            partition::of_key(scope, event.ordering_key.as_deref().unwrap_or(NO_KEY), partitions)
        }
    };
    event.id = event.id.with_partition(partition);
}
