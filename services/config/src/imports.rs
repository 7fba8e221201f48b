//! `/imports`: the loading of existing objects into sources, with its progress.

use actix_web::{HttpResponse, web};
use hookrail_domain::ids::ImportId;
use hookrail_domain::json::Json;
use hookrail_runtime::clock;
use hookrail_store::import_lines::{self, FailureRow};
use hookrail_store::imports::{self, ImportRow};
use hookrail_store::sea_orm::ConnectionTrait;

use crate::answer;
use crate::audit_trail::{self, Deed};
use crate::authenticated::Authenticated;
use crate::definition::time;
use crate::error::ApiError;
use crate::import_upload;
use crate::paging::{PageQuery, page};
use crate::shown::optional;
use crate::state::ConfigState;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/sources/{id}/import").route(web::post().to(import_upload::create)))
        .service(
            web::resource("/imports")
                .route(web::get().to(list))
                .route(web::head().to(list)),
        )
        .service(
            web::resource("/imports/{id}")
                .route(web::get().to(read))
                .route(web::head().to(read)),
        )
        .service(web::resource("/imports/{id}/cancel").route(web::post().to(cancel)));
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(import_upload::create, list, read, cancel))]
pub(crate) struct Docs;

/// List imports, those that have ended too
#[utoipa::path(get, path = "/api/v1/imports", tag = "imports", operation_id = "listImports",
    params(crate::openapi::ListParams), responses((status = 200, description = "A page of imports with their progress")))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
) -> Result<HttpResponse, ApiError> {
    let rows = imports::list(state.store.reader(), &sender.workspace_id(), &query.by_id()).await?;
    Ok(page(
        &query,
        rows,
        |row| row.id.clone(),
        |row| show(row, &[], &sender),
    ))
}

/// Read an import with its progress and its first failed lines
#[utoipa::path(get, path = "/api/v1/imports/{id}", tag = "imports", operation_id = "readImport",
    params(crate::openapi::IdParam),
    responses((status = 200, description = "The import"), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    whole(&state, &sender, import_id(&id)?).await
}

/// Stop an import; what it has loaded stays loaded
#[utoipa::path(post, path = "/api/v1/imports/{id}/cancel", tag = "imports", operation_id = "cancelImport",
    params(crate::openapi::IdParam),
    responses((status = 200, description = "The import; it stops within a second or so"),
        (status = 404, body = crate::openapi::ProblemDocument),
        (status = 409, description = "`import-ended`", body = crate::openapi::ProblemDocument)))]
async fn cancel(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = import_id(&id)?;
    let transaction = state.store.write().await?;
    let cancelled = imports::cancel(&*transaction, &sender.workspace_id(), id, clock::now_ms()).await?;
    if cancelled {
        let text = id.to_string();
        let (workspace, deed) = (sender.workspace_id(), Deed::command("cancelled", "import", &text));
        audit_trail::record(
            &*transaction,
            &sender.actor,
            Some(workspace),
            deed,
            clock::now_ms(),
        )
        .await?;
    }
    transaction.commit().await?;
    let row = find(state.store.reader(), &sender, id).await?;
    // A repeated request finds what it asked for.
    if !cancelled && row.status != imports::CANCELLED {
        let detail = format!("it has ended already: {}", row.status);
        return Err(ApiError::conflict("import-ended", detail));
    }
    whole(&state, &sender, id).await
}

fn import_id(text: &str) -> Result<ImportId, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound("import"))
}

async fn whole(state: &ConfigState, sender: &Authenticated, id: ImportId) -> Result<HttpResponse, ApiError> {
    let reader = state.store.reader();
    let row = find(reader, sender, id).await?;
    let failures = import_lines::failures(reader, id).await?;
    Ok(answer::json(&show(&row, &failures, sender)))
}

/// The workspace's import with this id.
pub(crate) async fn find<C: ConnectionTrait>(
    connection: &C,
    sender: &Authenticated,
    id: ImportId,
) -> Result<ImportRow, ApiError> {
    let row = imports::find(connection, &sender.workspace_id(), id).await?;
    row.ok_or(ApiError::NotFound("import"))
}

/// An import as it is shown.
pub(crate) fn show(row: &ImportRow, failures: &[FailureRow], sender: &Authenticated) -> Json {
    let progress = Json::from([
        ("lines", row.lines.into()),
        ("bytes", row.bytes.into()),
        ("read", row.lines_read.into()),
        ("accepted", row.accepted.into()),
        ("failed", row.failed.into()),
    ]);
    Json::from([
        ("id", row.id.as_str().into()),
        ("workspace", sender.workspace.code.as_str().into()),
        ("source", row.source.as_str().into()),
        ("status", row.status.as_str().into()),
        ("progress", progress),
        ("failures", failures.iter().map(failure).collect()),
        ("waits_for", optional(row.waits_for.as_deref())),
        ("error", optional(row.error.as_deref())),
        ("created_at", time(row.created_at)),
        ("started_at", row.started_at.map_or(Json::Null, time)),
        ("finished_at", row.finished_at.map_or(Json::Null, time)),
    ])
}

fn failure(row: &FailureRow) -> Json {
    Json::from([
        ("line", row.line.into()),
        ("reason", row.reason.as_str().into()),
        ("detail", row.detail.as_str().into()),
    ])
}
