//! The OpenAPI document: put together from the resources' own, with what they share.
//!
//! The types here exist for the document only: answers are exact JSON, made from the definitions.

#![expect(
    dead_code,
    reason = "the fields of these types are read by the derive of their schema"
)]

use actix_web::{HttpResponse, web};
use hookrail_domain::destination::DestinationSpec;
use hookrail_domain::fetcher::FetcherSpec;
use hookrail_domain::route::RouteSpec;
use hookrail_domain::source::SourceSpec;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{IntoParams, Modify, OpenApi, ToSchema};

use crate::openapi_common;

/// What the API is.
#[derive(OpenApi)]
#[openapi(
    info(title = "Hookrail", description = "Definitions, events, entities and deliveries of a Hookrail gateway."),
    components(schemas(ProblemDocument, FieldProblem)),
    modifiers(&BearerToken),
    security(("token" = []))
)]
struct Shared;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document
            .components
            .get_or_insert_with(Default::default)
            .add_security_scheme("token", scheme);
    }
}

/// The whole document.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let mut document = Shared::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    for part in crate::http_api::documents() {
        document.merge(part);
    }
    document
}

/// `/api/openapi.json`
pub(crate) async fn serve(text: web::Data<OpenApiText>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(text.0.clone())
}

/// The document's text, made once.
pub(crate) struct OpenApiText(pub(crate) String);

impl OpenApiText {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut document = serde_json::to_value(document())?;
        openapi_common::complete(&mut document)?;
        Ok(Self(document.to_string()))
    }
}

/// An example of a source.
pub(crate) fn source_example() -> serde_json::Value {
    serde_json::json!({
        "name": "customers",
        "filter": {"all": [{"path": "$.event_type", "op": "eq", "value": "user"}]},
        "entity": {"type": "customer", "path": "$.payload", "unique_id": "$.id", "title": "$.email",
                   "fields": {"active": "$.status.active"}}
    })
}

/// An example of a destination.
pub(crate) fn destination_example() -> serde_json::Value {
    serde_json::json!({
        "name": "crm", "url": "https://crm.example.com/hook", "events": ["entity.created", "entity.updated"],
        "auth": {"type": "header", "name": "Authorization", "value": "Bearer …"},
        "signing": {"type": "standard_webhooks"}
    })
}

/// An example of a fetcher.
pub(crate) fn fetcher_example() -> serde_json::Value {
    serde_json::json!({
        "name": "customers", "type": "customer", "url": "https://api.example.com/users/{{id}}",
        "auth": {"type": "bearer", "token": "…"}, "entity_path": "$.data", "unique_id": "$.id"
    })
}

/// An example of an event type.
pub(crate) fn event_type_example() -> serde_json::Value {
    serde_json::json!({
        "name": "order.paid", "description": "An order was paid",
        "schema": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}},
        "sample": {"id": 42}
    })
}

/// Which part of a list is asked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Items of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// `desc` (newest first, the default) or `asc`.
    #[param(pattern = "^(asc|desc)$")]
    order: Option<String>,
    /// With a token of root: the code of the workspace to act in.
    workspace: Option<String>,
}

/// Which one is meant.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct IdParam {
    /// Its id.
    id: String,
}

/// Headers that guard writes.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct WriteParams {
    /// POST: the same key and body within 24 h give the same answer.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
    /// PATCH, DELETE: the `ETag` that the definition still has to have.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
}

/// How far the receiver is probed.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProbeParam {
    /// `true` (a whole request, the default), `connect` (DNS, TCP and TLS) or `false`.
    probe: Option<String>,
}

/// What every read shows besides the fields that were written.
#[derive(ToSchema)]
pub(crate) struct Stored {
    /// Its id.
    id: String,
    /// Its workspace's code.
    workspace: String,
    /// RFC 3339, UTC.
    created_at: String,
    /// RFC 3339, UTC.
    updated_at: String,
    /// For `If-Match`.
    etag: String,
}

/// A source as it is read.
#[derive(ToSchema)]
pub(crate) struct SourceRead {
    #[schema(inline = false)]
    #[serde(flatten)]
    spec: SourceSpec,
    #[serde(flatten)]
    stored: Stored,
    /// Where senders send to; null where `public_name` is false.
    ingest_url: Option<String>,
    /// The same behind an unguessable token.
    token_url: String,
    /// `disabled`, `paused`, `waiting`, `receiving` or `warning`.
    status: String,
}

/// A destination as it is read: secrets are `{"id", "hint", "expires_at"}`.
#[derive(ToSchema)]
pub(crate) struct DestinationRead {
    #[serde(flatten)]
    spec: DestinationSpec,
    #[serde(flatten)]
    stored: Stored,
}

/// A route as it is read.
#[derive(ToSchema)]
pub(crate) struct RouteRead {
    #[serde(flatten)]
    spec: RouteSpec,
    #[serde(flatten)]
    stored: Stored,
}

/// A fetcher as it is read: secrets are `{"id", "hint", "expires_at"}`.
#[derive(ToSchema)]
pub(crate) struct FetcherRead {
    #[serde(flatten)]
    spec: FetcherSpec,
    #[serde(flatten)]
    stored: Stored,
}

/// A page of fetchers.
#[derive(ToSchema)]
pub(crate) struct FetcherList {
    items: Vec<FetcherRead>,
    next_cursor: Option<String>,
}

/// A page of sources.
#[derive(ToSchema)]
pub(crate) struct SourceList {
    items: Vec<SourceRead>,
    next_cursor: Option<String>,
}

/// A page of destinations.
#[derive(ToSchema)]
pub(crate) struct DestinationList {
    items: Vec<DestinationRead>,
    next_cursor: Option<String>,
}

/// A page of routes.
#[derive(ToSchema)]
pub(crate) struct RouteList {
    items: Vec<RouteRead>,
    next_cursor: Option<String>,
}

/// One HTTP call to a receiver and its result.
#[derive(ToSchema)]
pub(crate) struct Attempt {
    /// RFC 3339, UTC.
    started_at: String,
    /// Milliseconds.
    duration_ms: i64,
    /// `method`, `url`, `headers` without credentials, `body`.
    #[schema(value_type = Option<Object>)]
    request: Option<()>,
    /// `status`, `headers`, `body` (the first 16 KiB); null where none came.
    #[schema(value_type = Option<Object>)]
    response: Option<()>,
    /// `code` and `detail`; null where there was none.
    #[schema(value_type = Option<Object>)]
    error: Option<()>,
}

/// One call of a fetcher, its result, and the entity in it.
#[derive(ToSchema)]
pub(crate) struct FetchAttempt {
    #[serde(flatten)]
    attempt: Attempt,
    /// The entity that was asked for; null where the answer has none.
    #[schema(value_type = Option<Object>)]
    entity: Option<()>,
    /// Its unique id.
    unique_id: Option<String>,
    /// `code`, `field` and `path` of each rule that did not work.
    #[schema(value_type = Vec<Object>)]
    warnings: Vec<()>,
}

/// An error (RFC 9457).
#[derive(ToSchema)]
pub(crate) struct ProblemDocument {
    /// A URN of the kind.
    #[schema(rename = "type")]
    type_uri: String,
    title: String,
    status: u16,
    detail: Option<String>,
    /// Stable, one for each kind.
    code: String,
    /// What is wrong with which field.
    errors: Option<Vec<FieldProblem>>,
}

/// What is wrong with a field.
#[derive(ToSchema)]
pub(crate) struct FieldProblem {
    /// JSON Pointer (RFC 6901) into the request's body.
    pointer: String,
    detail: String,
    /// Stable, where clients act on it, as `ordering-lost`.
    code: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_openapi_3_1_with_all_paths_and_schemas() {
        let text = OpenApiText::new().unwrap().0;
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        assert!(document["paths"]["/api/v1/sources"]["post"]["requestBody"].is_object());
        assert_eq!(
            document["components"]["securitySchemes"]["token"]["scheme"],
            "bearer"
        );
        for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(
                document["components"]["schemas"][name].is_object(),
                "{name} is referred to and missing"
            );
        }
    }
}
