//! `/destinations`: definitions of outbound webhooks. A receiver is probed before it is saved.

use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::destination::{Destination, DestinationSpec};
use hookrail_domain::event_type::PING;
use hookrail_domain::ids::DestinationId;
use hookrail_domain::json::Json;
use hookrail_domain::snapshot::{Definition, Key};
use hookrail_domain::workspace::Workspace;

use crate::answer;
use crate::authenticated::Authenticated;
use crate::change::Change;
use crate::definition::{Stored, patched, show};
use crate::destination_input::{check_outbound, new_spec, with_secret_list};
use crate::error::ApiError;
use crate::idempotency::once;
use crate::json_body::JsonBody;
use crate::paging::PageQuery;
use crate::probe::{self, ProbeMode};
use crate::sample_body::mapping_to;
use crate::signing_secret::{self, with_secret_shown};
use crate::state::{ConfigState, new_id};
use crate::{definition_answers, preconditions, route_rules, secret_fields};

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/destinations")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(create)),
        )
        .service(
            web::resource("/destinations/{id}")
                .route(web::get().to(read))
                .route(web::head().to(read))
                .route(web::patch().to(patch))
                .route(web::delete().to(delete)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, read, patch, delete))]
pub(crate) struct Docs;

/// List the destinations of a workspace
#[utoipa::path(get, path = "/api/v1/destinations", tag = "destinations", operation_id = "listDestinations",
    params(crate::openapi::ListParams), responses((status = 200, body = crate::openapi::DestinationList)))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
) -> Result<HttpResponse, ApiError> {
    definition_answers::list::<DestinationSpec>(&state, &sender, &query).await
}

/// Create a destination, once its receiver answered a probe; a signing secret that was made is shown in this answer only
#[utoipa::path(post, path = "/api/v1/destinations", tag = "destinations", operation_id = "createDestination",
    params(crate::openapi::WriteParams, crate::openapi::ProbeParam),
    request_body(content = DestinationSpec, example = json!(crate::openapi::destination_example())),
    responses((status = 201, body = crate::openapi::DestinationRead), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn create(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let mode = ProbeMode::read(&request)?;
    let mut spec = new_spec(&body.json)?;
    check_outbound(&state, &spec)?;
    once(&state, &sender, &request, &body, async |claim| {
        let made = signing_secret::ensure(&mut spec);
        secret_fields::settle(&mut spec, &[])?;
        probe::check(&state, &sender.workspace, &spec, None, mode).await?;
        let change = Change::begin(&state, &sender.actor).await?;
        let id = new_id::<DestinationId>().to_string();
        let stored = change
            .insert(id, sender.workspace_id(), String::new(), spec)
            .await?;
        publish(&change, &sender.workspace, &stored).await?;
        let mut created = definition_answers::created(&stored, &sender);
        created.body = with_secret_shown(created.body, &stored.spec, made);
        claim.keep(change.transaction(), &created).await?;
        change.commit(&state).await?;
        Ok(created)
    })
    .await
}

/// Read a destination
#[utoipa::path(get, path = "/api/v1/destinations/{id}", tag = "destinations", operation_id = "readDestination",
    params(crate::openapi::IdParam), responses((status = 200, body = crate::openapi::DestinationRead), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    definition_answers::read::<DestinationSpec>(&state, &sender, &id).await
}

/// Change a destination (JSON Merge Patch; null = back to the default); another URL, auth, TLS or proxy is probed
#[utoipa::path(patch, path = "/api/v1/destinations/{id}", tag = "destinations", operation_id = "changeDestination",
    params(crate::openapi::IdParam, crate::openapi::WriteParams, crate::openapi::ProbeParam),
    request_body(content = DestinationSpec, content_type = "application/merge-patch+json"),
    responses((status = 200, body = crate::openapi::DestinationRead), (status = 412, body = crate::openapi::ProblemDocument), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn patch(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let mode = ProbeMode::read(&request)?;
    let reader = state.store.reader();
    let before =
        Stored::<DestinationSpec>::find_with_secrets(reader, &state.key_ring, &sender.workspace_id(), &id)
            .await?;
    preconditions::check(&request, &before.row)?;
    let mut spec = patched(&before, &with_secret_list(body.json))?;
    if spec == before.spec {
        return Ok(definition_answers::as_stored(&before.row, &sender));
    }
    check_outbound(&state, &spec)?;
    let made = signing_secret::ensure(&mut spec);
    secret_fields::settle(&mut spec, &[])?;
    route_rules::check_destination(reader, &before.row, &spec).await?;
    if probe::is_needed(&before.spec, &spec) {
        let mapping = mapping_to(reader, &before.row, PING).await?;
        probe::check(&state, &sender.workspace, &spec, mapping.as_ref(), mode).await?;
    }
    let stored = save(&state, &sender, before, spec).await?;
    let shown = Json::Object(show(&stored.row, &sender.workspace));
    Ok(answer::json(&with_secret_shown(shown, &stored.spec, made)))
}

/// Delete a destination: deliveries that it still owes are cancelled
#[utoipa::path(delete, path = "/api/v1/destinations/{id}", tag = "destinations", operation_id = "deleteDestination",
    params(crate::openapi::IdParam), responses((status = 204), (status = 409, body = crate::openapi::ProblemDocument)))]
async fn delete(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let change = Change::begin(&state, &sender.actor).await?;
    let transaction = &**change.transaction();
    let stored = Stored::<DestinationSpec>::find(transaction, &sender.workspace_id(), &id).await?;
    preconditions::check(&request, &stored.row)?;
    route_rules::refuse_if_used(transaction, &stored.row).await?;
    change.delete(&stored).await?;
    change.publish(Key::Destination(stored.id()?), None).await?;
    change.commit(&state).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Puts a destination in force as it is now.
pub(crate) async fn publish(
    change: &Change,
    workspace: &Workspace,
    stored: &Stored<DestinationSpec>,
) -> Result<(), ApiError> {
    let destination = Destination {
        id: stored.id()?,
        workspace: workspace.id,
        spec: stored.spec.clone(),
    };
    change
        .publish(
            Key::Destination(destination.id),
            Some(Definition::Destination(Box::new(destination))),
        )
        .await
}

/// Stores what was checked and probed outside of a transaction, unless somebody else was faster.
async fn save(
    state: &ConfigState,
    sender: &Authenticated,
    before: Stored<DestinationSpec>,
    spec: DestinationSpec,
) -> Result<Stored<DestinationSpec>, ApiError> {
    let change = Change::begin(state, &sender.actor).await?;
    let transaction = &**change.transaction();
    let mut stored = change
        .find::<DestinationSpec>(&before.row.workspace_id, &before.row.id)
        .await?;
    if stored.row.revision != before.row.revision {
        return Err(ApiError::conflict(
            "changed-meanwhile",
            "it was changed while the receiver was probed: read it again",
        ));
    }
    route_rules::check_destination(transaction, &stored.row, &spec).await?;
    route_rules::check_pending(transaction, &stored.row, &stored.spec, &spec).await?;
    stored.spec = spec;
    let stored = change.update(stored).await?;
    publish(&change, &sender.workspace, &stored).await?;
    change.commit(state).await?;
    Ok(stored)
}
