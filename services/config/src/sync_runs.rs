//! `/syncs/{id}/runs` and `/runs/{id}`: what is asked for is stored here; the work is the processor's.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::ids::{EventId, RunId};
use hookrail_domain::json::Json;
use hookrail_domain::sync::{SyncSpec, decide::Operation, run_of, shard_of};
use hookrail_runtime::clock;
use hookrail_store::sync_runs::{self, NewRun, RunRow};

use crate::answer::{self, Created};
use crate::audit_trail::{self, Deed};
use crate::authenticated::Authenticated;
use crate::definition::{Stored, time};
use crate::error::ApiError;
use crate::idempotency::once;
use crate::json_body::JsonBody;
use crate::paging::{PageQuery, page};
use crate::shown::optional;
use crate::state::{ConfigState, new_id};

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/syncs/{id}/runs")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(create)),
        )
        .service(
            web::resource("/runs/{id}")
                .route(web::get().to(read))
                .route(web::head().to(read)),
        )
        .service(web::resource("/runs/{id}/cancel").route(web::post().to(cancel)));
}

#[derive(utoipa::OpenApi)]
#[openapi(
    paths(list, create, read, cancel),
    components(schemas(crate::sync_documents::RunRead, crate::sync_documents::RunList))
)]
pub(crate) struct Docs;

/// List a sync's runs, the newest 500 of them
#[utoipa::path(get, path = "/api/v1/syncs/{id}/runs", tag = "syncs", operation_id = "listSyncRuns",
    params(crate::openapi::IdParam, crate::openapi::ListParams),
    responses((status = 200, body = crate::sync_documents::RunList), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
    query: PageQuery,
) -> Result<HttpResponse, ApiError> {
    let reader = state.store.reader();
    let stored = Stored::<SyncSpec>::find(reader, &sender.workspace_id(), &id).await?;
    let rows = sync_runs::list(reader, &stored.row.id, &query.by_id()).await?;
    Ok(page(&query, rows, |row| row.id.clone(), |row| show(row, &sender)))
}

/// Run a sync now
///
/// One run of a sync reads rows at a time.
#[utoipa::path(post, path = "/api/v1/syncs/{id}/runs", tag = "syncs", operation_id = "createSyncRun",
    params(crate::openapi::IdParam, crate::openapi::WriteParams),
    responses((status = 202, description = "The run, which waits for its turn", body = crate::sync_documents::RunRead),
        (status = 404, body = crate::openapi::ProblemDocument),
        (status = 409, description = "`run-open`, or `sync-disabled`", body = crate::openapi::ProblemDocument)))]
async fn create(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    if body.json.as_object().is_none_or(|members| !members.is_empty()) {
        return Err(ApiError::field("", "takes no members"));
    }
    once(&state, &sender, &request, &body, async |claim| {
        let transaction = state.store.write().await?;
        let stored = Stored::<SyncSpec>::find(&*transaction, &sender.workspace_id(), &id).await?;
        if !stored.spec.enabled {
            return Err(ApiError::conflict("sync-disabled", "the sync is disabled"));
        }
        let (sync, now, run) = (stored.id()?, clock::now_ms(), run_of(new_id::<EventId>()));
        let new = NewRun {
            id: run,
            workspace: &stored.row.workspace_id,
            sync,
            started_by: "request",
            definition: &stored.row.spec,
            revision: stored.row.revision,
            shard: shard_of(sync),
            at: now,
        };
        let is_open = || ApiError::conflict("run-open", "a run of the sync is still reading its rows");
        match sync_runs::begin(&*transaction, &new).await {
            Ok(true) => {}
            Ok(false) => return Err(is_open()),
            Err(error) if error.is_unique_violation() => return Err(is_open()),
            Err(error) => return Err(error.into()),
        }
        let row = find(&*transaction, &sender, run).await?;
        let created = Created {
            location: Some(format!("/api/v1/runs/{run}")),
            ..Created::accepted(StatusCode::ACCEPTED, show(&row, &sender))
        };
        let deed = Deed::command("created", "run", &row.id).with_after(&created.body);
        let workspace = Some(sender.workspace_id());
        audit_trail::record(&*transaction, &sender.actor, workspace, deed, now).await?;
        claim.keep(&transaction, &created).await?;
        transaction.commit().await?;
        Ok(created)
    })
    .await
}

/// Read a run, with its counts by operation and outcome
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "syncs", operation_id = "readRun",
    params(crate::openapi::IdParam),
    responses((status = 200, body = crate::sync_documents::RunRead), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let row = find(state.store.reader(), &sender, run_id(&id)?).await?;
    Ok(answer::json(&show(&row, &sender)))
}

/// Stop a run that still reads rows; what it has sent stays sent
#[utoipa::path(post, path = "/api/v1/runs/{id}/cancel", tag = "syncs", operation_id = "cancelRun",
    params(crate::openapi::IdParam),
    responses((status = 200, description = "The run; it stops within a second", body = crate::sync_documents::RunRead),
        (status = 404, body = crate::openapi::ProblemDocument),
        (status = 409, description = "`run-ended`: there is nothing to stop", body = crate::openapi::ProblemDocument)))]
async fn cancel(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = run_id(&id)?;
    let transaction = state.store.write().await?;
    let (workspace, now) = (sender.workspace_id(), clock::now_ms());
    let cancelled = sync_runs::cancel(&*transaction, &workspace, id, now).await?;
    if cancelled {
        let text = id.to_string();
        let deed = Deed::command("cancelled", "run", &text);
        audit_trail::record(&*transaction, &sender.actor, Some(workspace), deed, now).await?;
    }
    transaction.commit().await?;
    let row = find(state.store.reader(), &sender, id).await?;
    // A repeated request finds what it asked for.
    if !cancelled && row.status != sync_runs::CANCELLED {
        let detail = format!("its rows are all gone through: {}", row.status);
        return Err(ApiError::conflict("run-ended", detail));
    }
    Ok(answer::json(&show(&row, &sender)))
}

fn run_id(text: &str) -> Result<RunId, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound("run"))
}

async fn find<C: hookrail_store::sea_orm::ConnectionTrait>(
    connection: &C,
    sender: &Authenticated,
    id: RunId,
) -> Result<RunRow, ApiError> {
    let row = sync_runs::find(connection, &sender.workspace_id(), id).await?;
    row.ok_or(ApiError::NotFound("run"))
}

fn show(row: &RunRow, sender: &Authenticated) -> Json {
    let rows = Json::from([
        ("read", Json::from(row.rows_read)),
        ("unchanged", row.unchanged.into()),
        ("learned", row.learned.into()),
        ("waiting", row.waiting.into()),
        ("failed", row.failed.into()),
    ]);
    Json::from([
        ("id", row.id.as_str().into()),
        ("workspace", sender.workspace.code.as_str().into()),
        ("sync", row.sync.as_str().into()),
        ("started_by", row.started_by.as_str().into()),
        ("status", row.status.as_str().into()),
        ("rows", rows),
        ("operations", operations(row)),
        ("pending", row.pending.into()),
        ("failure", optional(row.failure.as_deref())),
        ("waits_for", optional(row.waits_for.as_deref())),
        ("error", optional(row.error.as_deref())),
        ("created_at", time(row.created_at)),
        ("started_at", row.started_at.map_or(Json::Null, time)),
        ("finished_at", row.finished_at.map_or(Json::Null, time)),
    ])
}

/// The counts of each operation that the sync's mode has, under its word.
fn operations(row: &RunRow) -> Json {
    let spec: Option<SyncSpec> = serde_json::from_str(&row.definition).ok();
    let mode = spec.map(|spec| spec.mode).unwrap_or_default();
    let writes = [
        row.writes,
        row.writes_delivered,
        row.writes_dead,
        row.writes_cancelled,
    ];
    let deletes = [
        row.deletes,
        row.deletes_delivered,
        row.deletes_dead,
        row.deletes_cancelled,
    ];
    let mut members = hookrail_domain::json::Members::new();
    if Operation::Write.word(mode) != Operation::Delete.word(mode) {
        members.insert(Operation::Write.word(mode).to_owned(), counts(writes));
    }
    if mode.deletes() {
        members.insert(Operation::Delete.word(mode).to_owned(), counts(deletes));
    }
    Json::Object(members)
}

fn counts([planned, delivered, dead, cancelled]: [i64; 4]) -> Json {
    Json::from([
        ("planned", Json::from(planned)),
        ("delivered", delivered.into()),
        ("dead", dead.into()),
        ("cancelled", cancelled.into()),
        ("pending", (planned - delivered - dead - cancelled).into()),
    ])
}
