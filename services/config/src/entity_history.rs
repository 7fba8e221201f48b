//! `/entities/{type}/{unique_id}/history`: the versions that an entity has had, as many as are kept.

use actix_web::{HttpResponse, web};
use hookrail_domain::entity::changed_members;
use hookrail_domain::json::Json;
use hookrail_store::entities::EntityRow;
use hookrail_store::entity_versions::VersionRow;
use hookrail_store::queries::entities;
use hookrail_store::queries::entity_versions::{self, VersionPage, VersionPlace};

use crate::authenticated::Authenticated;
use crate::definition::time;
use crate::error::ApiError;
use crate::paging::{PageQuery, page_up_to};
use crate::parameters::wrong;
use crate::shown::optional;
use crate::state::ConfigState;

#[derive(utoipa::OpenApi)]
#[openapi(paths(list))]
pub(crate) struct Docs;

/// List the versions of an entity that are kept, the newest first. Of a deleted entity they are kept for 30
/// days
#[utoipa::path(get, path = "/api/v1/entities/{type}/{unique_id}/history", tag = "entities", operation_id = "listEntityHistory",
    params(("type" = String, Path), ("unique_id" = String, Path, description = "Percent-encoded"), crate::openapi::ListParams),
    responses((status = 200, description = "A page of versions: `change`, `version`, `event_id`, `at`, `title`, `fields`, `data`, `changed_fields`, and `previous_fields` with their values before"),
        (status = 404, body = crate::openapi::ProblemDocument), (status = 422, body = crate::openapi::ProblemDocument)))]
pub(crate) async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    key: web::Path<(String, String)>,
    query: PageQuery,
) -> Result<HttpResponse, ApiError> {
    let ((entity_type, unique_id), workspace) = (key.into_inner(), sender.workspace_id());
    let (reader, limit) = (state.store.reader(), query.limit_rows());
    let found = entities::find_or_tombstone(reader, &workspace, &entity_type, &unique_id).await?;
    let entity = found.ok_or(ApiError::NotFound("entity"))?;
    let of = (workspace.as_str(), entity_type.as_str(), unique_id.as_str());
    let after = query.after.as_deref().map(read_place).transpose()?;
    let mut part = VersionPage {
        limit: limit + 1,
        after,
        newest_first: query.newest_first,
    };
    let mut rows = entity_versions::list(reader, of, &part).await?;
    if rows.is_empty() && after.is_none() {
        if !was_there(&entity) {
            return Err(ApiError::NotFound("entity"));
        }
        rows.push(only_version(entity));
    }
    let has_more = rows.len() > limit;
    // The version before the first one of a page that goes upwards is on the page before.
    let mut before_first = Vec::new();
    if let (false, Some(first)) = (query.newest_first, rows.first()) {
        (part.limit, part.after, part.newest_first) = (1, Some(place(first)), true);
        before_first = entity_versions::list(reader, of, &part).await?;
    }
    let shown = rows.len().min(limit);
    let items: Vec<Json> = (0..shown)
        .map(|at| {
            let before = match query.newest_first {
                true => rows.get(at + 1),
                false => at
                    .checked_sub(1)
                    .map_or(before_first.first(), |before| rows.get(before)),
            };
            show(&rows[at], before)
        })
        .collect();
    let next = rows.get(limit - 1).filter(|_| has_more).map(|row| {
        let (number, partition, sequence) = place(row);
        format!("{number}.{partition}.{sequence}")
    });
    Ok(page_up_to(next, &items, Json::clone))
}

/// Not so where all that ever came of it was that it is deleted.
fn was_there(entity: &EntityRow) -> bool {
    entity.deleted_at.is_none() || entity.updated_at != entity.first_seen_at
}

/// An entity of which no versions are kept, or that never changed, is its own only version.
fn only_version(entity: EntityRow) -> VersionRow {
    let change = match entity.deleted_at {
        Some(_) => "deleted",
        None if entity.updated_at == entity.first_seen_at => "created",
        None => "updated",
    };
    VersionRow {
        number: 1,
        version_partition: entity.version_partition,
        version_sequence: entity.version_sequence,
        change: change.to_owned(),
        event: entity.last_event_id,
        at: entity.updated_at,
        title: entity.title,
        fields: entity.fields,
        data: entity.data,
    }
}

fn show(row: &VersionRow, before: Option<&VersionRow>) -> Json {
    let data: Json = row.data.parse().unwrap_or_default();
    let before = before.filter(|_| row.change == "updated");
    let changed = before.map(|before| changed_members(&before.data.parse().unwrap_or_default(), &data));
    let names = changed
        .as_ref()
        .map(|changed| changed.keys().map(|name| Json::from(name.as_str())).collect());
    let version = format!("{}.{}", row.version_partition, row.version_sequence);
    Json::from([
        ("change", Json::from(row.change.as_str())),
        ("version", version.into()),
        ("event_id", row.event.as_str().into()),
        ("at", time(row.at)),
        ("title", optional(row.title.as_deref())),
        ("fields", row.fields.parse().unwrap_or_default()),
        ("data", data),
        ("changed_fields", names.unwrap_or_default()),
        ("previous_fields", changed.map_or(Json::Null, Json::Object)),
    ])
}

fn place(row: &VersionRow) -> VersionPlace {
    (row.number, row.version_partition, row.version_sequence)
}

fn read_place(text: &str) -> Result<VersionPlace, ApiError> {
    let numbers: Option<Vec<i64>> = text.split('.').map(|part| part.parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[number, partition, sequence]) => Ok((number, partition, sequence)),
        _ => Err(wrong("cursor is none of this list")),
    }
}
