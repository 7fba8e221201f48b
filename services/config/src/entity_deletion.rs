//! `DELETE /entities/{type}/{unique_id}`: an event through the log, so that it keeps its place among those of
//! senders, and that destinations hear of it. The processor carries it out; the answer waits for that.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use hookrail_domain::entity::EntityDeletion;
use hookrail_domain::event::Event;
use hookrail_domain::event_type::ENTITY_DELETED;
use hookrail_domain::ids::WorkspaceId;
use hookrail_domain::json::Json;
use hookrail_store::entities::EntityRow;
use hookrail_store::queries::{entities, events};

use crate::answer::Created;
use crate::audit_trail::{self, Deed};
use crate::authenticated::Authenticated;
use crate::error::ApiError;
use crate::state::ConfigState;
use crate::store_event::{StoredEvent, new_event, revision_in_force, store_event};

/// How long an answer waits until the entity is gone. It is a matter of milliseconds, unless the processor is
/// behind or down.
const WAIT: Duration = Duration::from_secs(3);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(15);

#[derive(utoipa::OpenApi)]
#[openapi(paths(delete))]
pub(crate) struct Docs;

/// Delete an entity from the store; its next event creates it again
#[utoipa::path(delete, path = "/api/v1/entities/{type}/{unique_id}", tag = "entities", operation_id = "deleteEntity",
    params(("type" = String, Path), ("unique_id" = String, Path, description = "Percent-encoded")),
    responses((status = 204, description = "It is gone, and `entity.deleted` is on its way to who wants it"),
        (status = 202, description = "`event_id`: it will be gone once the processor comes to this event"),
        (status = 404, body = crate::openapi::ProblemDocument),
        (status = 503, body = crate::openapi::ProblemDocument)))]
pub(crate) async fn delete(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    key: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (entity_type, unique_id) = key.into_inner();
    let workspace = sender.workspace_id();
    let found = entities::find(state.store.reader(), &workspace, &entity_type, &unique_id).await?;
    let found = found.ok_or(ApiError::NotFound("entity"))?;
    let mut event = event(sender.workspace.id, &found);
    event.revision = revision_in_force(&state).await?;
    let stored = store_event(&state, &workspace, &event).await?;
    let name = format!("{entity_type}/{unique_id}");
    let deed = Deed {
        name: Some(&name),
        ..Deed::command("deleted", "entity", &stored.id)
    };
    audit_trail::note(&state, &sender, deed).await?;
    if is_done(&state, &workspace, &event).await? {
        return Ok(HttpResponse::NoContent().finish());
    }
    Ok(accepted(&stored))
}

/// The event goes to the partition of the entity's last event, where it comes after all of its events that
/// are there. It belongs to the source of the last event, so that this source's routes apply.
fn event(workspace: WorkspaceId, found: &EntityRow) -> Event {
    let wanted = EntityDeletion {
        entity_type: found.entity_type.clone(),
        unique_id: found.unique_id.clone(),
    };
    let mut event = Event {
        source: found.source.as_deref().and_then(|id| id.parse().ok()),
        internal: true,
        ..new_event(workspace, ENTITY_DELETED, &wanted.to_json())
    };
    event.id = event.id.with_partition(found.version().partition);
    event
}

/// Whether the processor has come to the event in time.
async fn is_done(state: &ConfigState, workspace: &str, event: &Event) -> Result<bool, ApiError> {
    let looks = WAIT.as_millis() / LOOK.as_millis();
    for _ in 0..looks {
        if events::find(state.store.reader(), workspace, event.id)
            .await?
            .is_some()
        {
            return Ok(true);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(false)
}

fn accepted(stored: &StoredEvent) -> HttpResponse {
    let body = Json::from([("event_id", stored.id.as_str().into())]);
    Created::accepted(StatusCode::ACCEPTED, body).to_response()
}
