//! `/event-types`: what routes and destinations can subscribe to, each with a schema and a sample.

use actix_web::{HttpResponse, web};
use hookrail_domain::event_type::BUILT_IN;
use hookrail_domain::json::Json;

use crate::answer;
use crate::authenticated::Authenticated;
use crate::error::ApiError;
use crate::paging::{PageQuery, page};

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/event-types")
                .route(web::get().to(list))
                .route(web::head().to(list)),
        )
        .service(
            web::resource("/event-types/{name}")
                .route(web::get().to(read))
                .route(web::head().to(read)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, read))]
pub(crate) struct Docs;

/// List the event types, each with a sample of a delivery's body
#[utoipa::path(get, path = "/api/v1/event-types", tag = "event types", operation_id = "listEventTypes",
    params(crate::openapi::ListParams), responses((status = 200, description = "A page of event types")))]
async fn list(_: Authenticated, query: PageQuery) -> Result<HttpResponse, ApiError> {
    let mut names = BUILT_IN.to_vec();
    // They have no age; the order in which they are listed is the one of their names.
    names.sort_unstable();
    if query.newest_first {
        names.reverse();
    }
    let after = query.after.as_deref();
    names.retain(|name| match after {
        Some(after) if query.newest_first => *name < after,
        Some(after) => *name > after,
        None => true,
    });
    Ok(page(&query, names, |name| (*name).to_owned(), |name| show(name)))
}

/// Read an event type
#[utoipa::path(get, path = "/api/v1/event-types/{name}", tag = "event types", operation_id = "readEventType",
    params(("name" = String, Path, description = "The event type's name")),
    responses((status = 200, description = "The event type"), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(_: Authenticated, name: web::Path<String>) -> Result<HttpResponse, ApiError> {
    if is_known(&name) {
        Ok(answer::json(&show(&name)))
    } else {
        Err(ApiError::NotFound("event type"))
    }
}

/// Whether there is such an event type.
pub(crate) fn is_known(name: &str) -> bool {
    BUILT_IN.contains(&name)
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
