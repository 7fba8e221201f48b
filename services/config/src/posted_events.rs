//! `POST /events`: an event of one's own, for the destinations that subscribe to its type.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::event::Event;
use hookrail_domain::event_type::{BUILT_IN, is_type_name};
use hookrail_domain::ids::WorkspaceId;
use hookrail_domain::json::Json;
use hookrail_domain::partition;
use hookrail_domain::validation::Faults;
use serde::Deserialize;

use crate::answer::Created;
use crate::authenticated::Authenticated;
use crate::error::ApiError;
use crate::idempotency::once;
use crate::json_body::JsonBody;
use crate::own_event_types;
use crate::state::ConfigState;
use crate::store_event::{StoredEvent, new_event, revision_in_force, store_event};

/// Longest key, bytes.
const MAX_KEY_BYTES: usize = 255;

#[derive(utoipa::OpenApi)]
#[openapi(paths(post))]
pub(crate) struct Docs;

/// An event of one's own.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostedEvent {
    /// Its type: words joined by dots, none of the built-in ones. Where it is one of `/event-types` with a
    /// schema, `data` has to fit that.
    event_type: String,
    /// What it is about.
    #[schema(value_type = serde_json::Value)]
    data: Json,
    /// What receivers get as `current_context`.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    current_context: Option<Json>,
    /// Events with the same key are processed in the order accepted.
    #[serde(default)]
    ordering_key: Option<String>,
    /// Events with the same key are taken once.
    #[serde(default)]
    idempotency_key: Option<String>,
}

impl PostedEvent {
    fn check(&self) -> Result<(), ApiError> {
        let mut faults = Faults::default();
        let detail = "has to be words of letters, digits, _ and - joined by dots";
        faults.require(is_type_name(&self.event_type), "/event_type", detail);
        let own = !BUILT_IN.contains(&self.event_type.as_str());
        faults.require(
            own,
            "/event_type",
            "is a built-in type, which only Hookrail sends",
        );
        for (pointer, key) in [
            ("/ordering_key", &self.ordering_key),
            ("/idempotency_key", &self.idempotency_key),
        ] {
            let fits = key
                .as_ref()
                .is_none_or(|key| (1..=MAX_KEY_BYTES).contains(&key.len()));
            faults.require(fits, pointer, "has 1 to 255 bytes");
        }
        Ok(faults.finish()?)
    }

    fn into_event(self, workspace: WorkspaceId, revision: u64, partitions: u32) -> Event {
        let mut event = Event {
            revision,
            ordering_key: self.ordering_key,
            idempotency_key: self.idempotency_key,
            current_context: self.current_context,
            ..new_event(workspace, &self.event_type, &self.data)
        };
        event.id = event.id.with_partition(partition_of(&event, partitions));
        event
    }
}

fn partition_of(event: &Event, partitions: u32) -> u32 {
    let scope = event.workspace.as_u128();
    match (&event.ordering_key, &event.idempotency_key) {
        (Some(key), _) => partition::of_key(scope, key, partitions),
        (None, Some(_)) => partition::of_key(scope, &event.message_id(), partitions),
        (None, None) => partition::of_event(event.id, partitions),
    }
}

/// Post an event of one's own
#[utoipa::path(post, path = "/api/v1/events", tag = "events", operation_id = "postEvent",
    params(crate::openapi::WriteParams), request_body = PostedEvent,
    responses((status = 202, description = "`event_id`, once it is on disk"),
        (status = 200, description = "`event_id` of an earlier event with the same idempotency key"),
        (status = 422, body = crate::openapi::ProblemDocument)))]
pub(crate) async fn post(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let mut posted: PostedEvent = body.read()?;
    posted.check()?;
    let own = own_event_types::find(state.store.reader(), &sender.workspace_id(), &posted.event_type).await?;
    if let Some(spec) = own {
        own_event_types::check_event(&spec, &posted.data)?;
    }
    once(&state, &sender, &request, &body, async |claim| {
        // Where the answer is lost, the log still knows the event by the request's key.
        let key = claim.key().map(str::to_owned);
        posted.idempotency_key = posted.idempotency_key.or(key);
        let revision = revision_in_force(&state).await?;
        let event = posted.into_event(sender.workspace.id, revision, state.broker.settings().partitions);
        let stored = store_event(&state, &sender.workspace_id(), &event).await?;
        let created = accepted(&stored);
        claim.keep_alone(&state, &created).await?;
        Ok(created)
    })
    .await
}

/// 202, or 200 where an earlier request did it.
pub(crate) fn accepted(stored: &StoredEvent) -> Created {
    let status = if stored.is_repeated {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Created::accepted(status, Json::from([("event_id", stored.id.as_str().into())]))
}
