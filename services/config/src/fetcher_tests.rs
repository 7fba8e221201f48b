//! `/fetchers/test` and `/fetchers/{id}/test`: what a sender's API answers for an id, and which entity that is.
//! Nothing of it is stored.

use actix_web::{HttpResponse, web};
use hookrail_domain::delivery::KEPT_RESPONSE_BYTES;
use hookrail_domain::entity::{Extraction, Warning};
use hookrail_domain::fetcher::FetcherSpec;
use hookrail_domain::fetcher::answer::{self as fetch_answer, MAX_ANSWER_BYTES};
use hookrail_domain::fetcher::ids::FetchId;
use hookrail_domain::filter::FilterInput;
use hookrail_domain::json::Json;
use hookrail_domain::payload::{self, BodyFormat};
use hookrail_outbound::{AttemptResult, make_fetch_request};
use hookrail_runtime::clock;
use serde::Deserialize;

use crate::answer;
use crate::authenticated::Authenticated;
use crate::definition::Stored;
use crate::error::ApiError;
use crate::fetchers::new_spec;
use crate::json_body::JsonBody;
use crate::shown::optional;
use crate::state::ConfigState;
use crate::{probe, secret_fields, test_request};

/// What an unsaved fetcher without a name is called.
const UNSAVED: &str = "unsaved";

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/fetchers/test").route(web::post().to(test_unsaved)))
        .service(web::resource("/fetchers/{id}/test").route(web::post().to(test_saved)));
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(test_unsaved, test_saved))]
pub(crate) struct Docs;

/// What to ask for.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FetchTest {
    /// The unique id: a text or a number; a list where the fetcher's unique id is one.
    #[schema(value_type = Object)]
    id: Json,
}

/// What to ask for, and how.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnsavedFetchTest {
    /// The fetcher's fields.
    #[schema(value_type = FetcherSpec)]
    fetcher: Json,
    /// The unique id: a text or a number; a list where the fetcher's unique id is one.
    #[schema(value_type = Object)]
    id: Json,
}

/// Test a fetcher before it is created: makes the call, and gives the attempt with the entity in its answer
#[utoipa::path(post, path = "/api/v1/fetchers/test", tag = "fetchers", operation_id = "testUnsavedFetcher",
    request_body = UnsavedFetchTest,
    responses((status = 200, body = crate::openapi::FetchAttempt), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn test_unsaved(
    state: web::Data<ConfigState>,
    _sender: Authenticated,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let mut wanted: UnsavedFetchTest = body.read()?;
    if let Json::Object(members) = &mut wanted.fetcher {
        members.entry("name".to_owned()).or_insert_with(|| UNSAVED.into());
    }
    let mut spec = new_spec(&state, &wanted.fetcher).map_err(below_fetcher)?;
    secret_fields::settle(&mut spec, &[]).map_err(below_fetcher)?;
    Ok(answer::json(&test(&state, &spec, &wanted.id).await?))
}

/// Test a fetcher: makes the call, and gives the attempt with the entity in its answer
#[utoipa::path(post, path = "/api/v1/fetchers/{id}/test", tag = "fetchers", operation_id = "testFetcher",
    params(crate::openapi::IdParam), request_body = FetchTest,
    responses((status = 200, body = crate::openapi::FetchAttempt), (status = 404, body = crate::openapi::ProblemDocument), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn test_saved(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let wanted: FetchTest = body.read()?;
    let stored = Stored::<FetcherSpec>::find_with_secrets(
        state.store.reader(),
        &state.key_ring,
        &sender.workspace_id(),
        &id,
    )
    .await?;
    Ok(answer::json(&test(&state, &stored.spec, &wanted.id).await?))
}

async fn test(state: &ConfigState, spec: &FetcherSpec, id: &Json) -> Result<Json, ApiError> {
    let text = id.identity_text();
    let asked = text
        .as_deref()
        .and_then(|text| FetchId::new(&spec.unique_id, text));
    let asked = asked.ok_or_else(|| {
        let detail = "has to be a text or a number, or a list of as many as the unique id has paths";
        ApiError::field("/id", detail)
    })?;
    let now = clock::now_ms();
    let made = make_fetch_request(spec, &asked, MAX_ANSWER_BYTES as usize, now)
        .map_err(|error| ApiError::field("/id", error.to_string()))?;
    let result = state.outbound.send(&made.request).await;
    let extraction = extraction(spec, &asked, &result);
    let mut shown = probe::show(now, test_request::show(&made), &shortened(result));
    if let Json::Object(members) = &mut shown {
        let found = extraction.entities.first();
        let unique_id = found.map(|entity| entity.unique_id.as_str());
        let warnings: Json = extraction.warnings.iter().map(warning).collect();
        members.insert(
            "entity".to_owned(),
            found.map_or(Json::Null, |entity| entity.data.clone()),
        );
        members.insert("unique_id".to_owned(), optional(unique_id));
        members.insert("warnings".to_owned(), warnings);
    }
    Ok(shown)
}

/// What an answer gives, by the same rules as when it is fetched for an event.
fn extraction(spec: &FetcherSpec, asked: &FetchId, result: &AttemptResult) -> Extraction {
    let Some(response) = result.response.as_ref().filter(|_| result.is_success()) else {
        return Extraction::default();
    };
    let unusable = |reason: String| Extraction {
        entities: Vec::new(),
        warnings: vec![Warning {
            code: "fetcher.malformed",
            field: "fetcher".to_owned(),
            path: reason,
        }],
    };
    if response.body_truncated {
        return unusable(format!("the answer has more than {MAX_ANSWER_BYTES} bytes"));
    }
    match payload::decode(None, BodyFormat::Json, &response.body, &[]) {
        Err(error) => unusable(error.to_string()),
        Ok(payload) => {
            let input = FilterInput {
                payload: payload.as_json(),
                headers: &[],
                query: &[],
                method: "",
            };
            fetch_answer::extract(&fetch_answer::rules(spec, None), &input, &asked.text)
        }
    }
}

/// The exchange with as much of the answer's body as is shown.
fn shortened(mut result: AttemptResult) -> AttemptResult {
    if let Some(response) = &mut result.response
        && response.body.len() > KEPT_RESPONSE_BYTES
    {
        response.body = response.body.slice(..KEPT_RESPONSE_BYTES);
        response.body_truncated = true;
    }
    result
}

fn warning(warning: &Warning) -> Json {
    Json::from([
        ("code", Json::from(warning.code)),
        ("field", warning.field.as_str().into()),
        ("path", warning.path.as_str().into()),
    ])
}

/// A fault of the fetcher's fields as one of the request's.
fn below_fetcher(error: ApiError) -> ApiError {
    match error {
        ApiError::Invalid(mut errors) => {
            for error in &mut errors {
                error.pointer.insert_str(0, "/fetcher");
            }
            ApiError::Invalid(errors)
        }
        other => other,
    }
}
