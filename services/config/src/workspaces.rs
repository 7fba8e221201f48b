//! `/workspaces`: tenants. Only root sees and makes them.

use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::ids::WorkspaceId;
use hookrail_domain::json::Json;
use hookrail_domain::workspace::is_code;
use hookrail_store::workspaces::{self, WorkspaceRow};
use serde::Deserialize;

use crate::answer::{self, Created};
use crate::authenticated::Authenticated;
use crate::change::Change;
use crate::definition::time;
use crate::error::ApiError;
use crate::first_start::add_workspace;
use crate::idempotency::once;
use crate::json_body::JsonBody;
use crate::paging::{PageQuery, page};
use crate::state::ConfigState;
use crate::workspace_changes;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/workspaces")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(create)),
        )
        .service(
            web::resource("/workspaces/{id}")
                .route(web::get().to(read))
                .route(web::head().to(read))
                .route(web::patch().to(workspace_changes::rename))
                .route(web::delete().to(workspace_changes::delete)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, read, workspace_changes::rename, workspace_changes::delete))]
pub(crate) struct Docs;

/// A new workspace.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWorkspace {
    /// `[a-z0-9][a-z0-9-]{1,30}`, the first segment of its sources' URLs.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{1,30}$", example = "team-b")]
    pub(crate) code: String,
}

impl NewWorkspace {
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        if is_code(&self.code) {
            return Ok(());
        }
        Err(ApiError::field(
            "/code",
            "has to match [a-z0-9][a-z0-9-]{1,30} and not be reserved",
        ))
    }
}

/// A workspace as it is read.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "read by the derive of its schema")]
pub(crate) struct WorkspaceRead {
    /// Its id.
    id: String,
    /// The first segment of its sources' URLs.
    code: String,
    /// RFC 3339, UTC.
    created_at: String,
}

/// A page of workspaces.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "read by the derive of its schema")]
pub(crate) struct WorkspaceList {
    items: Vec<WorkspaceRead>,
    next_cursor: Option<String>,
}

/// List the workspaces (root)
#[utoipa::path(get, path = "/api/v1/workspaces", tag = "administration", operation_id = "listWorkspaces",
    params(crate::openapi::ListParams), responses((status = 200, body = WorkspaceList), (status = 403, body = crate::openapi::ProblemDocument)))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
) -> Result<HttpResponse, ApiError> {
    sender.require_root()?;
    let rows = workspaces::list(state.store.reader(), &query.by_id()).await?;
    Ok(page(&query, rows, |row| row.id.clone(), show))
}

/// Create a workspace (root)
#[utoipa::path(post, path = "/api/v1/workspaces", tag = "administration", operation_id = "createWorkspace",
    params(crate::openapi::WriteParams), request_body = NewWorkspace,
    responses((status = 201, body = WorkspaceRead), (status = 409, body = crate::openapi::ProblemDocument)))]
async fn create(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    sender.require_root()?;
    let wanted: NewWorkspace = body.read()?;
    wanted.check()?;
    once(&state, &sender, &request, &body, async |claim| {
        let change = Change::begin(&state, &sender.actor).await?;
        let row = add_workspace(&change, &wanted.code).await?;
        let created = Created::plain(format!("/api/v1/workspaces/{}", row.id), show(&row));
        claim.keep(change.transaction(), &created).await?;
        change.commit(&state).await?;
        Ok(created)
    })
    .await
}

/// Read a workspace (root)
#[utoipa::path(get, path = "/api/v1/workspaces/{id}", tag = "administration", operation_id = "readWorkspace",
    params(crate::openapi::IdParam), responses((status = 200, body = WorkspaceRead), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    sender.require_root()?;
    let id: WorkspaceId = id.parse().map_err(|_| ApiError::NotFound("workspace"))?;
    let row = workspaces::find(state.store.reader(), &id.to_string()).await?;
    Ok(answer::json(&show(&row.ok_or(ApiError::NotFound("workspace"))?)))
}

pub(crate) fn show(row: &WorkspaceRow) -> Json {
    Json::from([
        ("id", row.id.as_str().into()),
        ("code", row.code.as_str().into()),
        ("created_at", time(row.created_at)),
    ])
}
