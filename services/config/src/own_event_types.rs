//! `/event-types` of one's own: made, changed and deleted by their names.

use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::destination::DestinationSpec;
use hookrail_domain::event_type::EventTypeSpec;
use hookrail_domain::ids::EventTypeId;
use hookrail_domain::json::{Json, Members};
use hookrail_domain::route::RouteSpec;
use hookrail_domain::snapshot::{Definition, Key};
use hookrail_domain::validation::FieldError;
use hookrail_domain::workspace::Workspace;
use hookrail_store::sea_orm::ConnectionTrait;
use hookrail_store::{DefinitionRow, DefinitionTable, definition_names, definition_rows};

use crate::answer::{self, Created};
use crate::authenticated::Authenticated;
use crate::change::Change;
use crate::data_schema::DataSchema;
use crate::definition::{self, Definable, Stored, patched, read_spec};
use crate::error::{ApiError, Conflict};
use crate::event_types::body_of;
use crate::idempotency::once;
use crate::json_body::{JsonBody, read_json};
use crate::preconditions;
use crate::state::{ConfigState, new_id};

/// Event types of one workspace.
const MAX_EVENT_TYPES: i64 = 1_000;

#[derive(utoipa::OpenApi)]
#[openapi(paths(create, patch, delete))]
pub(crate) struct Docs;

/// Create an event type of one's own
#[utoipa::path(post, path = "/api/v1/event-types", tag = "event types", operation_id = "createEventType",
    params(crate::openapi::WriteParams),
    request_body(content = EventTypeSpec, example = json!(crate::openapi::event_type_example())),
    responses((status = 201, description = "The event type"), (status = 422, body = crate::openapi::ProblemDocument)))]
pub(crate) async fn create(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let spec: EventTypeSpec = read_json(&body.json)?;
    spec.check()?;
    check_data(&spec)?;
    once(&state, &sender, &request, &body, async |claim| {
        let change = Change::begin(&state, &sender.actor).await?;
        let workspace = sender.workspace_id();
        refuse_one_more(&**change.transaction(), &workspace).await?;
        let id = new_id::<EventTypeId>().to_string();
        let stored = change.insert(id, workspace, String::new(), spec).await?;
        publish(&change, &sender.workspace).await?;
        let location = format!("{}/{}", EventTypeSpec::PATH, stored.row.name);
        let created = Created::plain(location, Json::Object(show(&stored.row, &sender.workspace)));
        claim.keep(change.transaction(), &created).await?;
        change.commit(&state).await?;
        Ok(created)
    })
    .await
}

/// Change an event type of one's own (JSON Merge Patch; null = back to the default)
#[utoipa::path(patch, path = "/api/v1/event-types/{name}", tag = "event types", operation_id = "changeEventType",
    params(("name" = String, Path, description = "The event type's name"), crate::openapi::WriteParams),
    request_body(content = EventTypeSpec, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The event type"), (status = 404, body = crate::openapi::ProblemDocument),
        (status = 412, body = crate::openapi::ProblemDocument), (status = 422, body = crate::openapi::ProblemDocument)))]
pub(crate) async fn patch(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    name: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let change = Change::begin(&state, &sender.actor).await?;
    let mut stored = find_stored(&**change.transaction(), &sender.workspace_id(), &name).await?;
    preconditions::check(&request, &stored.row)?;
    let spec: EventTypeSpec = patched(&stored, &body.json)?;
    if spec.name != stored.spec.name {
        return Err(ApiError::field(
            "/name",
            "can't be changed: events and subscriptions have it",
        ));
    }
    check_data(&spec)?;
    if spec == stored.spec {
        return Ok(answer::json(&Json::Object(show(&stored.row, &sender.workspace))));
    }
    stored.spec = spec;
    let stored = change.update(stored).await?;
    publish(&change, &sender.workspace).await?;
    change.commit(&state).await?;
    Ok(answer::json(&Json::Object(show(&stored.row, &sender.workspace))))
}

/// Delete an event type of one's own that nobody subscribes to
#[utoipa::path(delete, path = "/api/v1/event-types/{name}", tag = "event types", operation_id = "deleteEventType",
    params(("name" = String, Path, description = "The event type's name")),
    responses((status = 204), (status = 404, body = crate::openapi::ProblemDocument),
        (status = 409, description = "`in-use`, with `users`", body = crate::openapi::ProblemDocument)))]
pub(crate) async fn delete(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    request: HttpRequest,
    name: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let change = Change::begin(&state, &sender.actor).await?;
    let transaction = &**change.transaction();
    let stored = find_stored(transaction, &sender.workspace_id(), &name).await?;
    preconditions::check(&request, &stored.row)?;
    refuse_if_subscribed(transaction, &stored.row).await?;
    change.delete(&stored).await?;
    publish(&change, &sender.workspace).await?;
    change.commit(&state).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The event type of this name, where the workspace has one.
pub(crate) async fn find<C: ConnectionTrait>(
    connection: &C,
    workspace_id: &str,
    name: &str,
) -> Result<Option<EventTypeSpec>, ApiError> {
    let row = definition_names::find(connection, DefinitionTable::EventTypes, workspace_id, name).await?;
    row.as_ref().map(read_spec).transpose()
}

/// What every read of an event type shows: with the body that receivers get of its sample.
pub(crate) fn show(row: &DefinitionRow, workspace: &Workspace) -> Members {
    let mut members = definition::show(row, workspace);
    let sample = members.get("sample").cloned().unwrap_or_default();
    members.insert("built_in".to_owned(), false.into());
    members.insert("body".to_owned(), body_of(&row.name, sample));
    members
}

/// Refuses a schema that is none, and a sample that doesn't fit it.
fn check_data(spec: &EventTypeSpec) -> Result<(), ApiError> {
    let Some(schema) = &spec.schema else { return Ok(()) };
    let compiled = DataSchema::compile(schema).map_err(|fault| below("/schema", vec![fault]))?;
    let Some(sample) = &spec.sample else { return Ok(()) };
    match compiled.faults(sample) {
        faults if faults.is_empty() => Ok(()),
        faults => Err(below("/sample", faults)),
    }
}

/// Refuses data that doesn't fit the schema of its type.
pub(crate) fn check_event(spec: &EventTypeSpec, data: &Json) -> Result<(), ApiError> {
    let Some(schema) = &spec.schema else { return Ok(()) };
    let compiled = DataSchema::compile(schema);
    let compiled =
        compiled.map_err(|fault| ApiError::Internal(anyhow::anyhow!("a stored schema: {fault:?}")))?;
    match compiled.faults(data) {
        faults if faults.is_empty() => Ok(()),
        faults => Err(below("/data", faults)),
    }
}

fn below(pointer: &str, mut faults: Vec<FieldError>) -> ApiError {
    for fault in &mut faults {
        fault.pointer.insert_str(0, pointer);
    }
    ApiError::Invalid(faults)
}

/// An event type is nobody's business but the API's. What it was stored under is put in force with its
/// workspace as it is: a revision that nobody publishes would be waited for.
async fn publish(change: &Change, workspace: &Workspace) -> Result<(), ApiError> {
    let definition = Definition::Workspace(workspace.clone());
    change
        .publish(Key::Workspace(workspace.id), Some(definition))
        .await
}

async fn find_stored<C: ConnectionTrait>(
    connection: &C,
    workspace_id: &str,
    name: &str,
) -> Result<Stored<EventTypeSpec>, ApiError> {
    if crate::event_types::is_built_in(name) {
        return Err(ApiError::conflict(
            "built-in",
            "it is a type of Hookrail's own, which doesn't change",
        ));
    }
    let row = definition_names::find(connection, DefinitionTable::EventTypes, workspace_id, name).await?;
    let row = row.ok_or(ApiError::NotFound("event type"))?;
    let spec = read_spec(&row)?;
    Ok(Stored { row, spec })
}

async fn refuse_one_more<C: ConnectionTrait>(connection: &C, workspace_id: &str) -> Result<(), ApiError> {
    let count = definition_rows::count(connection, DefinitionTable::EventTypes, workspace_id).await?;
    if count < MAX_EVENT_TYPES {
        return Ok(());
    }
    let detail =
        format!("the workspace has {MAX_EVENT_TYPES} event types, which is the most that it may have");
    Err(ApiError::conflict("too-many", detail))
}

/// Refuses to go on where destinations or routes name the type, and says which.
async fn refuse_if_subscribed<C: ConnectionTrait>(
    connection: &C,
    row: &DefinitionRow,
) -> Result<(), ApiError> {
    let mut users = Vec::new();
    let tables = [
        (DefinitionTable::Destinations, DestinationSpec::WHAT),
        (DefinitionTable::Routes, RouteSpec::WHAT),
    ];
    for (table, what) in tables {
        let found = definition_names::mentioning(connection, table, &row.workspace_id, &row.name).await?;
        for user in found.iter().filter(|user| names_event(user, &row.name)) {
            users.push(serde_json::json!({"type": what, "id": user.id, "name": user.name}));
        }
    }
    if users.is_empty() {
        return Ok(());
    }
    let detail = format!(
        "{} is named by {} of the workspace's definitions",
        row.name,
        users.len()
    );
    Err(ApiError::Conflict(Conflict {
        code: "in-use",
        detail,
        users,
    }))
}

fn names_event(row: &DefinitionRow, name: &str) -> bool {
    let spec: Json = row.spec.parse().unwrap_or_default();
    let events = spec.get("events").and_then(Json::as_array).unwrap_or_default();
    events.iter().any(|event| event.as_str() == Some(name))
}
