//! `/event-types`: what routes and destinations can subscribe to, each with a schema and a sample.

use actix_web::{HttpResponse, web};
use hookrail_domain::event_type::{BUILT_IN, EventTypeSpec, is_type_name};
use hookrail_domain::json::Json;
use hookrail_domain::workspace::Workspace;
use hookrail_store::{DefinitionRow, DefinitionTable, IdPage, definition_names};

use crate::answer;
use crate::authenticated::Authenticated;
use crate::error::ApiError;
use crate::own_event_types;
use crate::paging::{PageQuery, page};
use crate::state::ConfigState;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/event-types")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(own_event_types::create)),
        )
        .service(
            web::resource("/event-types/{name}")
                .route(web::get().to(read))
                .route(web::head().to(read))
                .route(web::patch().to(own_event_types::patch))
                .route(web::delete().to(own_event_types::delete)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, read))]
pub(crate) struct Docs;

/// One line of the list.
enum Listed {
    BuiltIn(&'static str),
    Own(DefinitionRow),
}

impl Listed {
    fn name(&self) -> &str {
        match self {
            Self::BuiltIn(name) => name,
            Self::Own(row) => &row.name,
        }
    }

    fn show(&self, workspace: &Workspace) -> Json {
        match self {
            Self::BuiltIn(name) => show(name),
            Self::Own(row) => Json::Object(own_event_types::show(row, workspace)),
        }
    }
}

/// List the event types by name: those of Hookrail's own with a sample of a delivery's body, and one's own
#[utoipa::path(get, path = "/api/v1/event-types", tag = "event types", operation_id = "listEventTypes",
    params(crate::openapi::ListParams), responses((status = 200, description = "A page of event types")))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
) -> Result<HttpResponse, ApiError> {
    // They have no age; the order in which they are listed is the one of their names.
    let (wanted, reader, workspace) = (query.by_id(), state.store.reader(), sender.workspace_id());
    let own = definition_names::list(reader, DefinitionTable::EventTypes, &workspace, &wanted).await?;
    let mut all: Vec<Listed> = built_in(&wanted).map(Listed::BuiltIn).collect();
    all.extend(own.into_iter().map(Listed::Own));
    all.sort_unstable_by(|a, b| a.name().cmp(b.name()));
    if query.newest_first {
        all.reverse();
    }
    all.truncate(query.limit_rows() + 1);
    Ok(page(
        &query,
        all,
        |listed| listed.name().to_owned(),
        |listed| listed.show(&sender.workspace),
    ))
}

/// The built-in names behind the page's beginning.
fn built_in(wanted: &IdPage) -> impl Iterator<Item = &'static str> + '_ {
    BUILT_IN.into_iter().filter(|name| match wanted.after.as_deref() {
        Some(after) if wanted.newest_first => *name < after,
        Some(after) => *name > after,
        None => true,
    })
}

/// Read an event type
#[utoipa::path(get, path = "/api/v1/event-types/{name}", tag = "event types", operation_id = "readEventType",
    params(("name" = String, Path, description = "The event type's name")),
    responses((status = 200, description = "The event type"), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    name: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    if is_built_in(&name) {
        return Ok(answer::json(&show(&name)));
    }
    let workspace = sender.workspace_id();
    // What can be no name is in no table; asking with it would only show a database its oddities.
    let asked = Some(name.as_str()).filter(|name| is_type_name(name));
    let asked = asked.ok_or(ApiError::NotFound("event type"))?;
    let row = definition_names::find(
        state.store.reader(),
        DefinitionTable::EventTypes,
        &workspace,
        asked,
    )
    .await?;
    let row = row.ok_or(ApiError::NotFound("event type"))?;
    Ok(answer::json(&Json::Object(own_event_types::show(
        &row,
        &sender.workspace,
    ))))
}

/// Whether it is a type of Hookrail's own.
pub(crate) fn is_built_in(name: &str) -> bool {
    BUILT_IN.contains(&name)
}

/// What the `data` of an event of this type may look like; `None` where there is no such type.
pub(crate) async fn sample_of(
    state: &ConfigState,
    workspace_id: &str,
    name: &str,
) -> Result<Option<Json>, ApiError> {
    if is_built_in(name) {
        return Ok(Some(sample_data(name)));
    }
    if !is_type_name(name) {
        return Ok(None);
    }
    let own = own_event_types::find(state.store.reader(), workspace_id, name).await?;
    Ok(own.map(|spec: EventTypeSpec| spec.sample.unwrap_or_else(Json::object)))
}

/// The body that receivers get of an event of one's own, in the format `event`.
pub(crate) fn body_of(name: &str, data: Json) -> Json {
    Json::from([
        ("event_time", "2026-01-01T00:00:00.000Z".into()),
        ("event_type", name.into()),
        ("current_context", Json::Null),
        ("data", data),
    ])
}

/// What the `data` of an event of this type may look like.
pub(crate) fn sample_data(name: &str) -> Json {
    let text = match name {
        "webhook.received" => r#"{"event_type":"user","payload":{"id":42,"email":"ada@example.com"}}"#,
        "delivery.dead" => {
            r#"{"delivery":"dlv_01J00000000000000000000000","event":"evt_01J00000000000000000000000","event_type":"entity.updated","source":"src_01J00000000000000000000000","destination":"dst_01J00000000000000000000000","destination_name":"crm","route":null,"replay":null,"error":{"code":"status"},"attempts":12,"accepted_at":"2026-01-01T00:00:00.000Z","died_at":"2026-01-04T00:00:00.000Z"}"#
        }
        "destination.disabled" => {
            r#"{"destination":"dst_01J00000000000000000000000","destination_name":"crm","reason":"gone","delivery":"dlv_01J00000000000000000000000","disabled_at":"2026-01-01T00:00:00.000Z"}"#
        }
        "destination.over_quota" => {
            r#"{"destination":"dst_01J00000000000000000000000","destination_name":"crm","delivery":"dlv_01J00000000000000000000000","parked_bytes":214748364,"at":"2026-01-01T00:00:00.000Z"}"#
        }
        "sync.record" => r#"{"id":347,"my_first_name":"Ryan"}"#,
        "hookrail.ping" => r#"{"message":"Hookrail asks whether this URL takes webhooks"}"#,
        _ => r#"{"id":42,"email":"ada@example.com"}"#,
    };
    text.parse().unwrap_or_default()
}

fn description(name: &str) -> &'static str {
    match name {
        "webhook.received" => {
            "A source accepted a webhook and its filter let it through; data is the payload"
        }
        "entity.created" => "An entity was seen for the first time; data is the entity",
        "entity.updated" => {
            "A known entity changed; data is the entity, current_context.previous_fields what it was"
        }
        "entity.deleted" => "An entity was deleted; data is the entity as it was",
        "delivery.dead" => "A delivery used up its retries",
        "destination.disabled" => "A destination was disabled because its receiver answered 410",
        "destination.over_quota" => "A destination has more waiting deliveries than it may have",
        "sync.record" => "A record of a sync; data is the mapped record",
        _ => "Sent by probes and tests, with the header hookrail-test: true",
    }
}

fn show(name: &str) -> Json {
    let is_entity = name.starts_with("entity.");
    let entity = || {
        Json::from([
            ("type", "customer".into()),
            ("unique_id", "42".into()),
            ("version", 7_i64.into()),
        ])
    };
    let context = Json::from([
        ("workspace", "default".into()),
        (
            "source",
            if is_entity || name == "webhook.received" {
                "customers".into()
            } else {
                Json::Null
            },
        ),
        ("event_id", "evt_01J00000000000000000000000".into()),
        ("entity", if is_entity { entity() } else { Json::Null }),
        ("previous_fields", Json::Null),
    ]);
    let sample = Json::from([
        ("event_time", "2026-01-01T00:00:00.000Z".into()),
        ("event_type", name.into()),
        ("current_context", context),
        ("data", sample_data(name)),
    ]);
    Json::from([
        ("name", name.into()),
        ("built_in", true.into()),
        ("description", description(name).into()),
        ("schema", schema(name)),
        ("sample", sample),
    ])
}

/// A JSON Schema of a delivery's body in the format `event`.
fn schema(name: &str) -> Json {
    // A payload may be anything, what Hookrail itself says is an object.
    let data = if name == "webhook.received" {
        "{}"
    } else {
        r#"{"type":"object"}"#
    };
    let text = format!(
        r#"{{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","required":["event_time","event_type","current_context","data"],"properties":{{"event_time":{{"type":"string","format":"date-time"}},"event_type":{{"const":"{name}"}},"current_context":{{}},"data":{data}}}}}"#
    );
    text.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_type_has_a_schema_and_a_sample() {
        for name in BUILT_IN {
            let shown = show(name);
            assert!(shown.get("schema").and_then(Json::as_object).is_some(), "{name}");
            assert!(
                shown
                    .get("sample")
                    .and_then(|s| s.get("data"))
                    .and_then(Json::as_object)
                    .is_some(),
                "{name}"
            );
        }
    }
}
