//! `/sources`: definitions of inbound webhooks.

use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::api_key::ApiKey;
use hookrail_domain::ids::SourceId;
use hookrail_domain::json::Json;
use hookrail_domain::snapshot::{Definition, Key};
use hookrail_domain::source::{OLD_NAME_MS, OldName, Source, SourceAuth, SourceSpec};
use hookrail_domain::workspace::Workspace;
use hookrail_runtime::random;
use hookrail_store::{DefinitionRow, DefinitionTable, api_keys, definition_rows, source_warnings};

use crate::answer::{self, Created};
use crate::authenticated::Authenticated;
use crate::change::Change;
use crate::definition::{self, Definable, Stored, patched, read_spec};
use crate::error::ApiError;
use crate::idempotency::once;
use crate::json_body::JsonBody;
use crate::paging::{PageQuery, page};
use crate::source_keys::read_key;
use crate::state::{ConfigState, new_id};
use crate::{fetcher_rules, preconditions, route_rules, secret_fields};

/// Former names that a source keeps answering at, at the most; the oldest goes first.
const MAX_OLD_NAMES: usize = 20;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/sources")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(create)),
        )
        .service(
            web::resource("/sources/{id}")
                .route(web::get().to(read))
                .route(web::head().to(read))
                .route(web::patch().to(patch))
                .route(web::delete().to(delete)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, read, patch, delete))]
pub(crate) struct Docs;

/// List the sources of a workspace
#[utoipa::path(get, path = "/api/v1/sources", tag = "sources", operation_id = "listSources",
    params(crate::openapi::ListParams), responses((status = 200, body = crate::openapi::SourceList)))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
) -> Result<HttpResponse, ApiError> {
    let reader = state.store.reader();
    let rows = definition_rows::list(
        reader,
        DefinitionTable::Sources,
        &sender.workspace_id(),
        &query.by_id(),
    )
    .await?;
    let shown = rows
        .iter()
        .map(|row| show(&state, &sender.workspace, row))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(page(&query, shown, id_of, Json::clone))
}

/// Create a source: its URL takes webhooks within a second
#[utoipa::path(post, path = "/api/v1/sources", tag = "sources", operation_id = "createSource",
    params(crate::openapi::WriteParams), request_body(content = SourceSpec, example = json!(crate::openapi::source_example())),
    responses((status = 201, body = crate::openapi::SourceRead), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn create(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let mut spec: SourceSpec = body.read()?;
    spec.check()?;
    secret_fields::settle(&mut spec, &[])?;
    once(&state, &sender, &request, &body, async |claim| {
        let change = Change::begin(&state, &sender.actor).await?;
        fetcher_rules::check_source(&**change.transaction(), &sender.workspace_id(), &spec).await?;
        let id = new_id::<SourceId>().to_string();
        let stored = change
            .insert(id, sender.workspace_id(), random::hex_token::<16>(), spec)
            .await?;
        publish(&change, &sender.workspace, &stored).await?;
        let location = format!("{}/{}", SourceSpec::PATH, stored.row.id);
        let created = Created::plain(location, show(&state, &sender.workspace, &stored.row)?);
        claim.keep(change.transaction(), &created).await?;
        change.commit(&state).await?;
        Ok(created)
    })
    .await
}

/// Read a source
#[utoipa::path(get, path = "/api/v1/sources/{id}", tag = "sources", operation_id = "readSource",
    params(crate::openapi::IdParam), responses((status = 200, body = crate::openapi::SourceRead), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let stored = Stored::<SourceSpec>::find(state.store.reader(), &sender.workspace_id(), &id).await?;
    Ok(answer::json(&show(&state, &sender.workspace, &stored.row)?))
}

/// Change a source (JSON Merge Patch; null = back to the default)
#[utoipa::path(patch, path = "/api/v1/sources/{id}", tag = "sources", operation_id = "changeSource",
    params(crate::openapi::IdParam, crate::openapi::WriteParams), request_body(content = SourceSpec, content_type = "application/merge-patch+json"),
    responses((status = 200, body = crate::openapi::SourceRead), (status = 412, body = crate::openapi::ProblemDocument), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn patch(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let change = Change::begin(&state, &sender.actor).await?;
    let transaction = &**change.transaction();
    let mut stored = change.find::<SourceSpec>(&sender.workspace_id(), &id).await?;
    preconditions::check(&request, &stored.row)?;
    let spec = patched(&stored, &body.json)?;
    if spec == stored.spec {
        return Ok(answer::json(&show(&state, &sender.workspace, &stored.row)?));
    }
    route_rules::check_source(transaction, &stored.row, &spec).await?;
    fetcher_rules::check_source(transaction, &sender.workspace_id(), &spec).await?;
    stored.row.old_names = names_after(&stored, &spec, change.now)?;
    stored.spec = spec;
    let stored = change.update(stored).await?;
    // What events said of the rules before says nothing of these.
    source_warnings::clear(transaction, stored.id()?).await?;
    publish(&change, &sender.workspace, &stored).await?;
    change.commit(&state).await?;
    Ok(answer::json(&show(&state, &sender.workspace, &stored.row)?))
}

/// Delete a source; what it accepted before is still processed
#[utoipa::path(delete, path = "/api/v1/sources/{id}", tag = "sources", operation_id = "deleteSource",
    params(crate::openapi::IdParam), responses((status = 204), (status = 409, body = crate::openapi::ProblemDocument)))]
async fn delete(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let change = Change::begin(&state, &sender.actor).await?;
    let transaction = &**change.transaction();
    let stored = Stored::<SourceSpec>::find(transaction, &sender.workspace_id(), &id).await?;
    preconditions::check(&request, &stored.row)?;
    route_rules::refuse_if_used(transaction, &stored.row).await?;
    change.delete(&stored).await?;
    source_warnings::clear(transaction, stored.id()?).await?;
    publish_deleted(&change, &sender.workspace, &stored).await?;
    change.commit(&state).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Puts a source in force as it is now, with its keys.
pub(crate) async fn publish(
    change: &Change,
    workspace: &Workspace,
    stored: &Stored<SourceSpec>,
) -> Result<(), ApiError> {
    let keys = api_keys::of_source(&**change.transaction(), &stored.row.id).await?;
    let source = Source {
        token: stored.row.token.clone(),
        old_names: old_names(&stored.row)?,
        api_keys: keys.iter().map(read_key).collect::<Result<Vec<ApiKey>, _>>()?,
        ..bare(workspace, stored)?
    };
    change
        .publish(Key::Source(source.id), Some(Definition::Source(Box::new(source))))
        .await
}

/// Puts a source out of force, but for what it accepted before. What only its senders needed is gone.
async fn publish_deleted(
    change: &Change,
    workspace: &Workspace,
    stored: &Stored<SourceSpec>,
) -> Result<(), ApiError> {
    let mut last = bare(workspace, stored)?;
    last.spec.auth = SourceAuth::None;
    change
        .publish(
            Key::Source(last.id),
            Some(Definition::DeletedSource(Box::new(last))),
        )
        .await
}

/// A source without what its senders find it by.
fn bare(workspace: &Workspace, stored: &Stored<SourceSpec>) -> Result<Source, ApiError> {
    Ok(Source {
        id: stored.id()?,
        workspace: workspace.id,
        workspace_code: workspace.code.clone(),
        token: String::new(),
        old_names: Vec::new(),
        api_keys: Vec::new(),
        spec: stored.spec.clone(),
    })
}

/// A source as reads show it.
pub(crate) fn show(
    state: &ConfigState,
    workspace: &Workspace,
    row: &DefinitionRow,
) -> Result<Json, ApiError> {
    let spec: SourceSpec = read_spec(row)?;
    let mut members = definition::show(row, workspace);
    let ordering =
        serde_json::to_string(&spec.effective_ordering()).map_err(|e| ApiError::Internal(e.into()))?;
    members.insert("ordering".to_owned(), ordering.parse().unwrap_or_default());
    let base = &state.ingress_url;
    let named = spec
        .public_name
        .then(|| format!("{base}/{}/{}", workspace.code, row.name));
    members.insert("ingest_url".to_owned(), named.map_or(Json::Null, Json::from));
    members.insert("token_url".to_owned(), format!("{base}/h/{}", row.token).into());
    members.insert("status".to_owned(), state_of(&spec).into());
    Ok(Json::Object(members))
}

/// The state that follows from the definition alone.
pub(crate) fn state_of(spec: &SourceSpec) -> &'static str {
    match spec {
        SourceSpec { enabled: false, .. } => "disabled",
        SourceSpec { paused: true, .. } => "paused",
        _ => "waiting",
    }
}

fn old_names(row: &DefinitionRow) -> Result<Vec<OldName>, ApiError> {
    serde_json::from_str(&row.old_names).map_err(|error| ApiError::Internal(error.into()))
}

/// The former names once the source is called as in `spec`: those that still answer, and the one it had.
fn names_after(stored: &Stored<SourceSpec>, spec: &SourceSpec, now: i64) -> Result<String, ApiError> {
    let mut names = old_names(&stored.row)?;
    names.retain(|old| old.until > now && old.name != spec.name);
    if stored.row.name != spec.name {
        names.push(OldName {
            name: stored.row.name.clone(),
            until: now + OLD_NAME_MS,
        });
    }
    let surplus = names.len().saturating_sub(MAX_OLD_NAMES);
    names.drain(..surplus);
    serde_json::to_string(&names).map_err(|error| ApiError::Internal(error.into()))
}

/// The id of something that is shown.
pub(crate) fn id_of(shown: &Json) -> String {
    shown.get("id").map(Json::bare_text).unwrap_or_default()
}
