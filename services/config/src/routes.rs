//! `/routes`: what connects a source, or event types, to a destination.

use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::ids::RouteId;
use hookrail_domain::route::{Route, RouteSpec};
use hookrail_domain::snapshot::{Definition, Key};
use hookrail_domain::workspace::Workspace;

use crate::authenticated::Authenticated;
use crate::change::Change;
use crate::definition::{Definable, Stored, patched};
use crate::error::ApiError;
use crate::idempotency::once;
use crate::json_body::JsonBody;
use crate::paging::PageQuery;
use crate::state::{ConfigState, new_id};
use crate::{definition_answers, preconditions, respond_rules, route_rules};

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/routes")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(create)),
        )
        .service(
            web::resource("/routes/{id}")
                .route(web::get().to(read))
                .route(web::head().to(read))
                .route(web::patch().to(patch))
                .route(web::delete().to(delete)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, read, patch, delete))]
pub(crate) struct Docs;

/// List the routes of a workspace
#[utoipa::path(get, path = "/api/v1/routes", tag = "routes", operation_id = "listRoutes",
    params(crate::openapi::ListParams), responses((status = 200, body = crate::openapi::RouteList)))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
) -> Result<HttpResponse, ApiError> {
    definition_answers::list::<RouteSpec>(&state, &sender, &query).await
}

/// Create a route
#[utoipa::path(post, path = "/api/v1/routes", tag = "routes", operation_id = "createRoute",
    params(crate::openapi::WriteParams), request_body = RouteSpec,
    responses((status = 201, body = crate::openapi::RouteRead), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn create(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let spec: RouteSpec = body.read()?;
    spec.check()?;
    once(&state, &sender, &request, &body, async |claim| {
        let change = Change::begin(&state, &sender.actor).await?;
        route_rules::check_route(&**change.transaction(), &sender.workspace_id(), &spec).await?;
        respond_rules::check_only_one(&**change.transaction(), &sender.workspace_id(), None, &spec).await?;
        let id = new_id::<RouteId>().to_string();
        let stored = change
            .insert(id, sender.workspace_id(), String::new(), spec)
            .await?;
        publish(&change, &sender.workspace, &stored).await?;
        let created = definition_answers::created(&stored, &sender);
        claim.keep(change.transaction(), &created).await?;
        change.commit(&state).await?;
        Ok(created)
    })
    .await
}

/// Read a route
#[utoipa::path(get, path = "/api/v1/routes/{id}", tag = "routes", operation_id = "readRoute",
    params(crate::openapi::IdParam), responses((status = 200, body = crate::openapi::RouteRead), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    definition_answers::read::<RouteSpec>(&state, &sender, &id).await
}

/// Change a route (JSON Merge Patch; null = back to the default)
#[utoipa::path(patch, path = "/api/v1/routes/{id}", tag = "routes", operation_id = "changeRoute",
    params(crate::openapi::IdParam, crate::openapi::WriteParams), request_body(content = RouteSpec, content_type = "application/merge-patch+json"),
    responses((status = 200, body = crate::openapi::RouteRead), (status = 412, body = crate::openapi::ProblemDocument), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn patch(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let change = Change::begin(&state, &sender.actor).await?;
    let transaction = &**change.transaction();
    let mut stored = change.find::<RouteSpec>(&sender.workspace_id(), &id).await?;
    preconditions::check(&request, &stored.row)?;
    let spec = patched(&stored, &body.json)?;
    if spec == stored.spec {
        return Ok(definition_answers::as_stored(&stored.row, &sender));
    }
    route_rules::check_route(transaction, &sender.workspace_id(), &spec).await?;
    respond_rules::check_only_one(transaction, &sender.workspace_id(), Some(&stored.row.id), &spec).await?;
    route_rules::check_pending_route(transaction, &sender.workspace_id(), &stored.spec, &spec).await?;
    stored.spec = spec;
    let stored = change.update(stored).await?;
    publish(&change, &sender.workspace, &stored).await?;
    change.commit(&state).await?;
    Ok(definition_answers::as_stored(&stored.row, &sender))
}

/// Delete a route; deliveries that it planned before are still sent
#[utoipa::path(delete, path = "/api/v1/routes/{id}", tag = "routes", operation_id = "deleteRoute",
    params(crate::openapi::IdParam), responses((status = 204), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn delete(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let change = Change::begin(&state, &sender.actor).await?;
    let stored = Stored::<RouteSpec>::find(&**change.transaction(), &sender.workspace_id(), &id).await?;
    preconditions::check(&request, &stored.row)?;
    change.delete(&stored).await?;
    change.publish(Key::Route(stored.id()?), None).await?;
    change.commit(&state).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn publish(change: &Change, workspace: &Workspace, stored: &Stored<RouteSpec>) -> Result<(), ApiError> {
    let route = Route {
        id: stored.id()?,
        workspace: workspace.id,
        spec: stored.spec.clone(),
    };
    change
        .publish(Key::Route(route.id), Some(Definition::Route(Box::new(route))))
        .await
}
