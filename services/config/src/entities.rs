//! `/entities`: what the events were about, each as its newest event left it.

use actix_web::{HttpResponse, web};
use hookrail_domain::json::Json;
use hookrail_store::entities::EntityRow;
use hookrail_store::queries::entities::{self, EntityFilter, EntityPage, EntityPlace};

use crate::answer;
use crate::authenticated::Authenticated;
use crate::definition::time;
use crate::error::ApiError;
use crate::paging::{PageQuery, page};
use crate::parameters::{Parameters, wrong};
use crate::shown::optional;
use crate::state::ConfigState;

/// Between the parts of a place in the list; in none of them.
const SEPARATOR: char = '\u{1f}';
/// Most fields that a list can be filtered by at once.
const MAX_FIELDS: usize = 8;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/entities")
                .route(web::get().to(list))
                .route(web::head().to(list)),
        )
        .service(
            web::resource("/entities/{type}/{unique_id}")
                .route(web::get().to(read))
                .route(web::head().to(read))
                .route(web::delete().to(delete)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, read, delete))]
pub(crate) struct Docs;

/// List entities, the last one first seen first
#[utoipa::path(get, path = "/api/v1/entities", tag = "entities", operation_id = "listEntities",
    params(crate::openapi::ListParams,
        ("type" = Option<String>, Query, description = "An entity type"),
        ("q" = Option<String>, Query, description = "A part of the title, or the unique id"),
        ("field.<name>" = Option<String>, Query, description = "The value of an indexed field")),
    responses((status = 200, description = "A page of entities"), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
    parameters: Parameters,
) -> Result<HttpResponse, ApiError> {
    let fields = parameters.below("field.");
    if fields.len() > MAX_FIELDS {
        return Err(wrong(format!("at most {MAX_FIELDS} fields can be given")));
    }
    let filter = EntityFilter {
        workspace: sender.workspace_id(),
        entity_type: parameters.text("type").map(str::to_owned),
        text: parameters.text("q").map(str::to_owned),
        fields,
    };
    let after = query.after.as_deref().map(read_place).transpose()?;
    let part = EntityPage {
        limit: query.limit + 1,
        after,
        newest_first: query.newest_first,
    };
    let rows = entities::list(state.store.reader(), &filter, &part).await?;
    Ok(page(&query, rows, place, show))
}

/// Read an entity
#[utoipa::path(get, path = "/api/v1/entities/{type}/{unique_id}", tag = "entities", operation_id = "readEntity",
    params(("type" = String, Path), ("unique_id" = String, Path, description = "Percent-encoded")),
    responses((status = 200, description = "The entity"), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    key: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (entity_type, unique_id) = key.into_inner();
    let found = entities::find(
        state.store.reader(),
        &sender.workspace_id(),
        &entity_type,
        &unique_id,
    )
    .await?;
    Ok(answer::json(&show(&found.ok_or(ApiError::NotFound("entity"))?)))
}

/// Delete an entity from the store; its next event creates it again
#[utoipa::path(delete, path = "/api/v1/entities/{type}/{unique_id}", tag = "entities", operation_id = "deleteEntity",
    params(("type" = String, Path), ("unique_id" = String, Path, description = "Percent-encoded")),
    responses((status = 204), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn delete(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    key: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (entity_type, unique_id) = key.into_inner();
    let transaction = state.store.write().await?;
    let deleted = entities::delete(&*transaction, &sender.workspace_id(), &entity_type, &unique_id).await?;
    transaction.commit().await?;
    if deleted {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(ApiError::NotFound("entity"))
    }
}

fn show(row: &EntityRow) -> Json {
    Json::from([
        ("type", Json::from(row.entity_type.as_str())),
        ("unique_id", row.unique_id.as_str().into()),
        ("title", optional(row.title.as_deref())),
        ("fields", row.fields.parse().unwrap_or_default()),
        ("data", row.data.parse().unwrap_or_default()),
        ("version", row.version().to_string().into()),
        ("source", optional(row.source.as_deref())),
        ("first_seen_at", time(row.first_seen_at)),
        ("updated_at", time(row.updated_at)),
        ("last_event_id", row.last_event_id.as_str().into()),
    ])
}

fn place(row: &EntityRow) -> String {
    format!(
        "{}{SEPARATOR}{}{SEPARATOR}{}",
        row.first_seen_at, row.entity_type, row.unique_id
    )
}

fn read_place(text: &str) -> Result<EntityPlace, ApiError> {
    let mut parts = text.splitn(3, SEPARATOR);
    let mut read = || {
        let first_seen_at = parts.next()?.parse().ok()?;
        let entity_type = parts.next()?.to_owned();
        Some(EntityPlace {
            first_seen_at,
            entity_type,
            unique_id: parts.next()?.to_owned(),
        })
    };
    read().ok_or_else(|| wrong("cursor is none of this list"))
}
