//! `POST /sources/{id}/test-events`: an event as if a sender had sent it.

use actix_web::{HttpResponse, web};
use hookrail_domain::event::Event;
use hookrail_domain::event_type::WEBHOOK_RECEIVED;
use hookrail_domain::ids::{SourceId, WorkspaceId};
use hookrail_domain::json::Json;
use hookrail_domain::partition;
use hookrail_domain::plan::NO_KEY;
use hookrail_domain::source::{OrderingMode, SourceSpec};
use serde::Deserialize;

use crate::authenticated::Authenticated;
use crate::definition::Stored;
use crate::error::ApiError;
use crate::json_body::JsonBody;
use crate::posted_events::accepted;
use crate::state::ConfigState;
use crate::store_event::{current_revision, new_event, store_event};
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
    /// The body, as JSON; a greeting where it is left out.
    #[schema(value_type = Option<Object>)]
    payload: Option<Json>,
}

/// Send an event into a source
#[utoipa::path(post, path = "/api/v1/sources/{id}/test-events", tag = "sources", operation_id = "sendTestEvent",
    params(crate::openapi::IdParam), request_body = TestEvent,
    responses((status = 202, description = "`event_id`, once it is on disk"),
        (status = 404, body = crate::openapi::ProblemDocument), (status = 409, body = crate::openapi::ProblemDocument)))]
async fn send(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let source = Stored::<SourceSpec>::find(state.store.reader(), &sender.workspace_id(), &id).await?;
    let request: TestEvent = body.read()?;
    if !source.spec.enabled {
        return Err(ApiError::conflict(
            "disabled",
            "the source is disabled, so it takes no events",
        ));
    }
    let payload = request.payload.unwrap_or_else(greeting);
    let mut event = event(sender.workspace.id, source.id()?, &payload);
    event.revision = current_revision(&state).await?;
    place(
        &mut event,
        &source.spec,
        &payload,
        state.broker.settings().partitions,
    );
    let stored = store_event(&state, &source.row.id, &event).await?;
    Ok(accepted(&stored))
}

fn greeting() -> Json {
    Json::from([
        ("test", Json::from(true)),
        ("message", "Hello from Hookrail".into()),
    ])
}

fn event(workspace: WorkspaceId, source: SourceId, payload: &Json) -> Event {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Event {
        source: Some(source),
        headers: vec![
            pair("content-type", "application/json"),
            pair(TEST_HEADER, "true"),
        ],
        ..new_event(workspace, WEBHOOK_RECEIVED, payload)
    }
}

/// Gives the event the ordering key and the partition that the ingress would give it.
fn place(event: &mut Event, spec: &SourceSpec, payload: &Json, partitions: u32) {
    let ordering = spec.effective_ordering();
    let scope = event.source.map_or(0, SourceId::as_u128);
    let partition = match ordering.mode {
        OrderingMode::None => partition::of_event(event.id, partitions),
        OrderingMode::Source => partition::of_key(scope, "", partitions),
        OrderingMode::Key => {
            let path = ordering.key.as_ref().and_then(|key| key.path.as_ref()?.plain());
            event.ordering_key = path.and_then(|path| path.find(payload)?.identity_text());
            partition::of_key(scope, event.ordering_key.as_deref().unwrap_or(NO_KEY), partitions)
        }
    };
    event.id = event.id.with_partition(partition);
}
