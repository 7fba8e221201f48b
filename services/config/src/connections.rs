//! `/connections`: other databases whose rows syncs read. For administrators only, since whoever names one lets
//! Hookrail speak to it.

use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::connection::{Connection, ConnectionSpec, database_url::DatabaseUrl};
use hookrail_domain::ids::ConnectionId;
use hookrail_domain::json::Json;
use hookrail_domain::snapshot::{Definition, Key};
use hookrail_domain::workspace::Workspace;

use crate::authenticated::{Authenticated, Role};
use crate::change::Change;
use crate::definition::{Definable, Stored, patched};
use crate::error::ApiError;
use crate::idempotency::once;
use crate::json_body::{JsonBody, read_json};
use crate::paging::PageQuery;
use crate::state::{ConfigState, new_id};
use crate::{definition_answers, preconditions, route_rules, secret_fields};

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/connections")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(create)),
        )
        .service(
            web::resource("/connections/{id}")
                .route(web::get().to(read))
                .route(web::head().to(read))
                .route(web::patch().to(patch))
                .route(web::delete().to(delete)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(
    paths(list, create, read, patch, delete),
    components(schemas(crate::sync_documents::ConnectionRead, crate::sync_documents::ConnectionList))
)]
pub(crate) struct Docs;

/// List the connections of a workspace (admin)
#[utoipa::path(get, path = "/api/v1/connections", tag = "connections", operation_id = "listConnections",
    params(crate::openapi::ListParams), responses((status = 200, body = crate::sync_documents::ConnectionList),
        (status = 403, body = crate::openapi::ProblemDocument)))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
) -> Result<HttpResponse, ApiError> {
    sender.require(Role::Admin)?;
    definition_answers::list::<ConnectionSpec>(&state, &sender, &query).await
}

/// Create a connection (admin)
///
/// PostgreSQL, MySQL or MariaDB, or a SQLite file below the directory of the setting `sync-sqlite-dir`. Rows are read
/// in transactions that only read. Hookrail's own database is refused when it is read.
#[utoipa::path(post, path = "/api/v1/connections", tag = "connections", operation_id = "createConnection",
    params(crate::openapi::WriteParams),
    request_body(content = ConnectionSpec, example = json!(crate::sync_documents::connection_example())),
    responses((status = 201, body = crate::sync_documents::ConnectionRead),
        (status = 403, body = crate::openapi::ProblemDocument),
        (status = 422, body = crate::openapi::ProblemDocument)))]
async fn create(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    sender.require(Role::Admin)?;
    let mut spec = new_spec(&state, &body.json)?;
    secret_fields::settle(&mut spec, &[])?;
    once(&state, &sender, &request, &body, async |claim| {
        let change = Change::begin(&state, &sender.actor).await?;
        let id = new_id::<ConnectionId>().to_string();
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

/// Read a connection, without its URL (admin)
#[utoipa::path(get, path = "/api/v1/connections/{id}", tag = "connections", operation_id = "readConnection",
    params(crate::openapi::IdParam), responses((status = 200, body = crate::sync_documents::ConnectionRead),
        (status = 403, body = crate::openapi::ProblemDocument), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    sender.require(Role::Admin)?;
    definition_answers::read::<ConnectionSpec>(&state, &sender, &id).await
}

/// Change a connection (admin; JSON Merge Patch; null = back to the default)
#[utoipa::path(patch, path = "/api/v1/connections/{id}", tag = "connections", operation_id = "changeConnection",
    params(crate::openapi::IdParam, crate::openapi::WriteParams),
    request_body(content = ConnectionSpec, content_type = "application/merge-patch+json"),
    responses((status = 200, body = crate::sync_documents::ConnectionRead),
        (status = 403, body = crate::openapi::ProblemDocument),
        (status = 412, body = crate::openapi::ProblemDocument), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn patch(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    sender.require(Role::Admin)?;
    let change = Change::begin(&state, &sender.actor).await?;
    let mut stored = change.find::<ConnectionSpec>(&sender.workspace_id(), &id).await?;
    preconditions::check(&request, &stored.row)?;
    let spec = patched(&stored, &body.json)?;
    if spec == stored.spec {
        return Ok(definition_answers::as_stored(&stored.row, &sender));
    }
    check_url(&state, &spec)?;
    stored.spec = spec;
    let stored = change.update(stored).await?;
    publish(&change, &sender.workspace, &stored).await?;
    change.commit(&state).await?;
    Ok(definition_answers::as_stored(&stored.row, &sender))
}

/// Delete a connection that no sync uses (admin)
#[utoipa::path(delete, path = "/api/v1/connections/{id}", tag = "connections", operation_id = "deleteConnection",
    params(crate::openapi::IdParam), responses((status = 204), (status = 403, body = crate::openapi::ProblemDocument),
        (status = 409, body = crate::openapi::ProblemDocument)))]
async fn delete(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    sender.require(Role::Admin)?;
    let change = Change::begin(&state, &sender.actor).await?;
    let transaction = &**change.transaction();
    let stored = Stored::<ConnectionSpec>::find(transaction, &sender.workspace_id(), &id).await?;
    preconditions::check(&request, &stored.row)?;
    route_rules::refuse_if_used(transaction, &stored.row).await?;
    change.delete(&stored).await?;
    change.publish(Key::Connection(stored.id()?), None).await?;
    change.commit(&state).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A new connection's fields, checked.
fn new_spec(state: &ConfigState, body: &Json) -> Result<ConnectionSpec, ApiError> {
    let spec: ConnectionSpec = read_json(body)?;
    spec.check()?;
    check_url(state, &spec)?;
    Ok(spec)
}

/// Refuses what could never be connected to. Names are resolved, and files looked at, when rows are read.
fn check_url(state: &ConfigState, spec: &ConnectionSpec) -> Result<(), ApiError> {
    let refuse = |detail: String| Err(ApiError::field("/database_url", detail));
    let Some(url) = spec.database_url.value.as_deref() else {
        return Ok(());
    };
    match DatabaseUrl::parse(url) {
        Err(error) => refuse(error.to_string()),
        Ok(DatabaseUrl::Sqlite(_)) if !state.reads_sqlite_files => refuse(
            "is a SQLite file: these are read where the setting sync-sqlite-dir names a directory".to_owned(),
        ),
        Ok(DatabaseUrl::Sqlite(_)) => Ok(()),
        Ok(DatabaseUrl::Postgres(server) | DatabaseUrl::Mysql(server)) => match server.host.parse() {
            Ok(address) => state
                .outbound
                .policy()
                .check_address(address)
                .or_else(|refused| refuse(refused.to_string())),
            Err(_) => Ok(()),
        },
    }
}

/// Puts a connection in force as it is now.
pub(crate) async fn publish(
    change: &Change,
    workspace: &Workspace,
    stored: &Stored<ConnectionSpec>,
) -> Result<(), ApiError> {
    let connection = Connection {
        id: stored.id()?,
        workspace: workspace.id,
        spec: stored.spec.clone(),
    };
    let key = Key::Connection(connection.id);
    let definition = Definition::Connection(Box::new(connection));
    change.publish(key, Some(definition)).await
}
