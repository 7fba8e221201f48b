//! `/syncs`: replications of rows to destinations. They stay in the database, where those that work on them read
//! them; nobody else needs them. Their changes have revisions like others', under which their workspace is published.

use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::connection::ConnectionSpec;
use hookrail_domain::destination::{DestinationMethod, DestinationSpec};
use hookrail_domain::ids::SyncId;
use hookrail_domain::json::Json;
use hookrail_domain::snapshot::{Definition, Key};
use hookrail_domain::sync::{SyncSpec, schedule, shard_of};
use hookrail_domain::validation::{Faults, FieldError};
use hookrail_domain::workspace::Workspace;
use hookrail_store::sea_orm::ConnectionTrait;
use hookrail_store::sync_schedules::{self, ScheduleRow};
use hookrail_store::{DefinitionRow, sync_leftovers, workspaces};

use crate::answer::{self, Created};
use crate::authenticated::Authenticated;
use crate::change::Change;
use crate::definition::{Definable, Stored, patched, show, time};
use crate::error::ApiError;
use crate::idempotency::once;
use crate::json_body::{JsonBody, read_json};
use crate::paging::PageQuery;
use crate::state::{ConfigState, new_id};
use crate::{definition_answers, preconditions};

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/syncs")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(create)),
        )
        .service(
            web::resource("/syncs/{id}")
                .route(web::get().to(read))
                .route(web::head().to(read))
                .route(web::patch().to(patch))
                .route(web::delete().to(delete)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(
    paths(list, create, read, patch, delete),
    components(schemas(crate::sync_documents::SyncRead, crate::sync_documents::SyncList))
)]
pub(crate) struct Docs;

/// List the syncs of a workspace
#[utoipa::path(get, path = "/api/v1/syncs", tag = "syncs", operation_id = "listSyncs",
    params(crate::openapi::ListParams), responses((status = 200, body = crate::sync_documents::SyncList)))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
) -> Result<HttpResponse, ApiError> {
    definition_answers::list::<SyncSpec>(&state, &sender, &query).await
}

/// Create a sync
///
/// It runs when its `schedule` says, and when `POST /syncs/{id}/runs` asks for it.
#[utoipa::path(post, path = "/api/v1/syncs", tag = "syncs", operation_id = "createSync",
    params(crate::openapi::WriteParams),
    request_body(content = SyncSpec, example = json!(crate::sync_documents::sync_example())),
    responses((status = 201, body = crate::sync_documents::SyncRead), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn create(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let spec: SyncSpec = read_json(&body.json)?;
    spec.check()?;
    once(&state, &sender, &request, &body, async |claim| {
        let change = Change::begin(&state, &sender.actor).await?;
        let transaction = &**change.transaction();
        check_ends(transaction, &sender.workspace_id(), &spec).await?;
        let id = new_id::<SyncId>().to_string();
        let stored = change
            .insert(id, sender.workspace_id(), String::new(), spec)
            .await?;
        plan_next(&change, &stored).await?;
        let location = format!("{}/{}", SyncSpec::PATH, stored.row.id);
        let shown = show_whole(transaction, &stored.row, &sender).await?;
        let created = Created::plain(location, shown);
        claim.keep(change.transaction(), &created).await?;
        commit(change, &state, &sender).await?;
        Ok(created)
    })
    .await
}

/// Read a sync, with when it runs next
#[utoipa::path(get, path = "/api/v1/syncs/{id}", tag = "syncs", operation_id = "readSync",
    params(crate::openapi::IdParam), responses((status = 200, body = crate::sync_documents::SyncRead), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let reader = state.store.reader();
    let stored = Stored::<SyncSpec>::find(reader, &sender.workspace_id(), &id).await?;
    Ok(answer::json(&show_whole(reader, &stored.row, &sender).await?))
}

/// Change a sync (JSON Merge Patch; null = back to the default)
///
/// `from`, `destination` and `mode` stay as they are: what is known of its rows is known under them.
#[utoipa::path(patch, path = "/api/v1/syncs/{id}", tag = "syncs", operation_id = "changeSync",
    params(crate::openapi::IdParam, crate::openapi::WriteParams), request_body(content = SyncSpec, content_type = "application/merge-patch+json"),
    responses((status = 200, body = crate::sync_documents::SyncRead),
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
    let mut stored = Stored::<SyncSpec>::find(transaction, &sender.workspace_id(), &id).await?;
    preconditions::check(&request, &stored.row)?;
    let spec = patched(&stored, &body.json)?;
    if spec == stored.spec {
        return Ok(answer::json(
            &show_whole(transaction, &stored.row, &sender).await?,
        ));
    }
    check_change(&stored.spec, &spec)?;
    check_ends(transaction, &sender.workspace_id(), &spec).await?;
    stored.spec = spec;
    let stored = change.update(stored).await?;
    plan_next(&change, &stored).await?;
    let shown = show_whole(transaction, &stored.row, &sender).await?;
    commit(change, &state, &sender).await?;
    Ok(answer::json(&shown))
}

/// Delete a sync: its open run is stopped, what is known of its rows goes; deliveries on their way go on
#[utoipa::path(delete, path = "/api/v1/syncs/{id}", tag = "syncs", operation_id = "deleteSync",
    params(crate::openapi::IdParam), responses((status = 204), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn delete(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let change = Change::begin(&state, &sender.actor).await?;
    let transaction = &**change.transaction();
    let stored = Stored::<SyncSpec>::find(transaction, &sender.workspace_id(), &id).await?;
    preconditions::check(&request, &stored.row)?;
    let sync = stored.id()?;
    change.delete(&stored).await?;
    sync_schedules::remove(transaction, &stored.row.id).await?;
    sync_leftovers::add(transaction, sync, shard_of(sync)).await?;
    commit(change, &state, &sender).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Refuses to change what the state of a sync's rows belongs to.
fn check_change(before: &SyncSpec, after: &SyncSpec) -> Result<(), ApiError> {
    let mut faults = Faults::default();
    let detail = "can't be changed: what is known of the rows belongs to it; create another sync";
    faults.require(before.from == after.from, "/from", detail);
    faults.require(before.destination == after.destination, "/destination", detail);
    faults.require(before.mode == after.mode, "/mode", detail);
    Ok(faults.finish()?)
}

/// Checks that both ends are there, and that the destination can take the records.
async fn check_ends<C: ConnectionTrait>(
    connection: &C,
    workspace_id: &str,
    spec: &SyncSpec,
) -> Result<(), ApiError> {
    let mut errors = Vec::new();
    let id = spec.destination.to_string();
    match Stored::<DestinationSpec>::look_up(connection, workspace_id, &id).await? {
        None => {
            let detail = format!("the workspace has no destination {id}");
            errors.push(FieldError::new("/destination", detail));
        }
        Some(found) if found.spec.method == DestinationMethod::Get => {
            errors.extend(spec.clash_in_query().map(|name| {
                let detail = format!("two members would both be the query parameter {name}");
                FieldError::new("/mapping", detail)
            }));
        }
        Some(_) => {}
    }
    if let Some(id) = spec.from.connection.map(|id| id.to_string())
        && Stored::<ConnectionSpec>::look_up(connection, workspace_id, &id)
            .await?
            .is_none()
    {
        let detail = format!("the workspace has no connection {id}");
        errors.push(FieldError::new("/from/connection", detail));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(ApiError::Invalid(errors)),
    }
}

/// Says when it runs next, from now on.
async fn plan_next(change: &Change, stored: &Stored<SyncSpec>) -> Result<(), ApiError> {
    let (transaction, spec) = (&**change.transaction(), &stored.spec);
    let pattern = spec.schedule.as_deref().filter(|_| spec.enabled);
    let next = pattern.and_then(|pattern| Some((pattern, schedule::next_after(pattern, change.now)?)));
    let Some((pattern, next_at)) = next else {
        return Ok(sync_schedules::remove(transaction, &stored.row.id).await?);
    };
    let row = ScheduleRow {
        sync: stored.row.id.clone(),
        workspace: stored.row.workspace_id.clone(),
        shard: i64::from(shard_of(stored.id()?)),
        schedule: pattern.to_owned(),
        next_at,
        skipped: 0,
    };
    Ok(sync_schedules::put(transaction, &row).await?)
}

/// Makes a change durable. Each revision has to reach those that wait for it, so the workspace is published under it,
/// as it is.
async fn commit(change: Change, state: &ConfigState, sender: &Authenticated) -> Result<(), ApiError> {
    let id = sender.workspace.id;
    let row = workspaces::find(&**change.transaction(), &sender.workspace_id()).await?;
    let code = row.ok_or(ApiError::NotFound("workspace"))?.code;
    let workspace = Definition::Workspace(Workspace { id, code });
    change.publish(Key::Workspace(id), Some(workspace)).await?;
    change.commit(state).await
}

async fn show_whole<C: ConnectionTrait>(
    connection: &C,
    row: &DefinitionRow,
    sender: &Authenticated,
) -> Result<Json, ApiError> {
    let next = sync_schedules::find(connection, &row.id).await?;
    let mut members = show(row, &sender.workspace);
    let next_run_at = next.as_ref().map_or(Json::Null, |next| time(next.next_at));
    members.insert("next_run_at".to_owned(), next_run_at);
    let skipped = next.map_or(0, |next| next.skipped);
    members.insert("skipped_runs".to_owned(), skipped.into());
    Ok(Json::Object(members))
}
