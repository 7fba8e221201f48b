//! `/entities`: what the events were about, each as its newest event left it.

use actix_web::{HttpResponse, web};
use hookrail_domain::entity::terms;
use hookrail_domain::json::Json;
use hookrail_store::entities::EntityRow;
use hookrail_store::queries::entities::{self, EntityFilter, EntityPage, EntityPlace};

use crate::answer;
use crate::authenticated::Authenticated;
use crate::definition::time;
use crate::error::ApiError;
use crate::paging::{PageQuery, page_up_to};
use crate::parameters::{Parameters, wrong};
use crate::shown::optional;
use crate::state::ConfigState;
use crate::{entity_deletion, entity_history};

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
                .route(web::delete().to(entity_deletion::delete)),
        )
        .service(
            web::resource("/entities/{type}/{unique_id}/history")
                .route(web::get().to(entity_history::list))
                .route(web::head().to(entity_history::list)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, read))]
pub(crate) struct Docs;

/// List entities, the last one first seen first. A page of a search may be shorter than the limit: the list
/// ends where `next_cursor` is null
#[utoipa::path(get, path = "/api/v1/entities", tag = "entities", operation_id = "listEntities",
    params(crate::openapi::ListParams,
        ("type" = Option<String>, Query, description = "An entity type"),
        ("q" = Option<String>, Query, description = "A unique id, or words of the title and of fields, in any case and order: at most 16"),
        ("field.<name>" = Option<String>, Query, description = "The exact value of an indexed field: a string, or the JSON text of anything else (`42` finds 42 and \"42\"); of a list also one of its items. At most 8")),
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
        text: searched(&parameters)?,
        fields,
    };
    let part = EntityPage {
        limit: query.limit_rows(),
        after: query.after.as_deref().map(read_place).transpose()?,
        newest_first: query.newest_first,
        looked_at: entities::LOOKED_AT,
    };
    let found = entities::list(state.store.reader(), &filter, &part).await?;
    Ok(page_up_to(found.next.as_ref().map(place), &found.rows, show))
}

/// The parameter `q`.
pub(crate) fn searched(parameters: &Parameters) -> Result<Option<String>, ApiError> {
    match parameters.text("q") {
        Some(text) if !terms::is_searchable(text) => Err(wrong(format!(
            "q has at most {} words and {} bytes",
            terms::MAX_SEARCHED_WORDS,
            terms::MAX_SEARCHED_BYTES
        ))),
        text => Ok(text.map(str::to_owned)),
    }
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
    let reader = state.store.reader();
    let found = entities::find(reader, &sender.workspace_id(), &entity_type, &unique_id).await?;
    Ok(answer::json(&show(&found.ok_or(ApiError::NotFound("entity"))?)))
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

fn place(place: &EntityPlace) -> String {
    format!(
        "{}{SEPARATOR}{}{SEPARATOR}{}",
        place.first_seen_at, place.entity_type, place.unique_id
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
