//! `/fetchers`: how entities are got from a sender's REST API by their ids.

use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::fetcher::{Fetcher, FetcherSpec};
use hookrail_domain::ids::FetcherId;
use hookrail_domain::json::Json;
use hookrail_domain::snapshot::{Definition, Key};
use hookrail_domain::workspace::Workspace;

use crate::authenticated::Authenticated;
use crate::change::Change;
use crate::definition::{Definable, Stored, patched};
use crate::error::ApiError;
use crate::idempotency::once;
use crate::json_body::{JsonBody, read_json};
use crate::paging::PageQuery;
use crate::state::{ConfigState, new_id};
use crate::{definition_answers, fetcher_rules, preconditions, route_rules, secret_fields};

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/fetchers")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(create)),
        )
        .service(
            web::resource("/fetchers/{id}")
                .route(web::get().to(read))
                .route(web::head().to(read))
                .route(web::patch().to(patch))
                .route(web::delete().to(delete)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, read, patch, delete))]
pub(crate) struct Docs;

/// List the fetchers of a workspace
#[utoipa::path(get, path = "/api/v1/fetchers", tag = "fetchers", operation_id = "listFetchers",
    params(crate::openapi::ListParams), responses((status = 200, body = crate::openapi::FetcherList)))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
) -> Result<HttpResponse, ApiError> {
    definition_answers::list::<FetcherSpec>(&state, &sender, &query).await
}

/// Create a fetcher
#[utoipa::path(post, path = "/api/v1/fetchers", tag = "fetchers", operation_id = "createFetcher",
    params(crate::openapi::WriteParams),
    request_body(content = FetcherSpec, example = json!(crate::openapi::fetcher_example())),
    responses((status = 201, body = crate::openapi::FetcherRead), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn create(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let mut spec = new_spec(&state, &body.json)?;
    secret_fields::settle(&mut spec, &[])?;
    once(&state, &sender, &request, &body, async |claim| {
        let change = Change::begin(&state, &sender.actor).await?;
        let id = new_id::<FetcherId>().to_string();
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

/// Read a fetcher
#[utoipa::path(get, path = "/api/v1/fetchers/{id}", tag = "fetchers", operation_id = "readFetcher",
    params(crate::openapi::IdParam), responses((status = 200, body = crate::openapi::FetcherRead), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    definition_answers::read::<FetcherSpec>(&state, &sender, &id).await
}

/// Change a fetcher (JSON Merge Patch; null = back to the default)
#[utoipa::path(patch, path = "/api/v1/fetchers/{id}", tag = "fetchers", operation_id = "changeFetcher",
    params(crate::openapi::IdParam, crate::openapi::WriteParams), request_body(content = FetcherSpec, content_type = "application/merge-patch+json"),
    responses((status = 200, body = crate::openapi::FetcherRead),
        (status = 409, description = "`in-use`: another type, or an id of other parts, while sources use it", body = crate::openapi::ProblemDocument),
        (status = 412, body = crate::openapi::ProblemDocument), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn patch(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let change = Change::begin(&state, &sender.actor).await?;
    let transaction = &**change.transaction();
    let mut stored = change.find::<FetcherSpec>(&sender.workspace_id(), &id).await?;
    preconditions::check(&request, &stored.row)?;
    let spec = patched(&stored, &body.json)?;
    if spec == stored.spec {
        return Ok(definition_answers::as_stored(&stored.row, &sender));
    }
    check_url(&state, &spec, "/url")?;
    fetcher_rules::check_change(transaction, &stored, &spec).await?;
    stored.spec = spec;
    let stored = change.update(stored).await?;
    publish(&change, &sender.workspace, &stored).await?;
    change.commit(&state).await?;
    Ok(definition_answers::as_stored(&stored.row, &sender))
}

/// Delete a fetcher that no source uses: fetches that wait are cancelled
#[utoipa::path(delete, path = "/api/v1/fetchers/{id}", tag = "fetchers", operation_id = "deleteFetcher",
    params(crate::openapi::IdParam), responses((status = 204), (status = 409, body = crate::openapi::ProblemDocument)))]
async fn delete(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let change = Change::begin(&state, &sender.actor).await?;
    let transaction = &**change.transaction();
    let stored = Stored::<FetcherSpec>::find(transaction, &sender.workspace_id(), &id).await?;
    preconditions::check(&request, &stored.row)?;
    route_rules::refuse_if_used(transaction, &stored.row).await?;
    change.delete(&stored).await?;
    change.publish(Key::Fetcher(stored.id()?), None).await?;
    change.commit(&state).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A new fetcher's fields, checked.
pub(crate) fn new_spec(state: &ConfigState, body: &Json) -> Result<FetcherSpec, ApiError> {
    let spec: FetcherSpec = read_json(body)?;
    spec.check()?;
    check_url(state, &spec, "/url")?;
    Ok(spec)
}

/// Refuses a URL that could never be called, whatever the id.
fn check_url(state: &ConfigState, spec: &FetcherSpec, pointer: &str) -> Result<(), ApiError> {
    if let Some(fault) = state.outbound.faults_of_auth(&spec.auth) {
        return Err(ApiError::Invalid(vec![fault]));
    }
    let checked = state.outbound.policy().check_url(&spec.sample_url());
    checked
        .map(drop)
        .map_err(|refused| ApiError::field(pointer, refused.to_string()))
}

/// Puts a fetcher in force as it is now.
pub(crate) async fn publish(
    change: &Change,
    workspace: &Workspace,
    stored: &Stored<FetcherSpec>,
) -> Result<(), ApiError> {
    let fetcher = Fetcher {
        id: stored.id()?,
        workspace: workspace.id,
        spec: stored.spec.clone(),
    };
    change
        .publish(
            Key::Fetcher(fetcher.id),
            Some(Definition::Fetcher(Box::new(fetcher))),
        )
        .await
}
