//! `/destinations/test` and `/destinations/{id}/test`: what a receiver answers to a test.

use actix_web::{HttpResponse, web};
use hookrail_domain::destination::DestinationSpec;
use hookrail_domain::event_type::PING;
use hookrail_domain::json::Json;
use serde::Deserialize;

use crate::answer;
use crate::authenticated::Authenticated;
use crate::definition::Stored;
use crate::destination_input::{check_outbound, new_spec};
use crate::error::ApiError;
use crate::json_body::JsonBody;
use crate::sample_body::{Sample, mapping_to};
use crate::state::ConfigState;
use crate::{event_types, probe, secret_fields, signing_secret};

/// What an unsaved destination without a name is called.
const UNSAVED: &str = "unsaved";

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/destinations/test").route(web::post().to(test_unsaved)))
        .service(web::resource("/destinations/{id}/test").route(web::post().to(test_saved)));
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(test_unsaved, test_saved))]
pub(crate) struct Docs;

/// What to test with.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TestRequest {
    /// The event type whose sample is sent; absent = `hookrail.ping`.
    event_type: Option<String>,
}

/// Test a destination before it is created: gives the attempt, whatever came of it
#[utoipa::path(post, path = "/api/v1/destinations/test", tag = "destinations", operation_id = "testUnsavedDestination",
    request_body = DestinationSpec, responses((status = 200, body = crate::openapi::Attempt), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn test_unsaved(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let mut json = body.json;
    if let Json::Object(members) = &mut json {
        members.entry("name".to_owned()).or_insert_with(|| UNSAVED.into());
    }
    let mut spec = new_spec(&json)?;
    check_outbound(&state, &spec)?;
    signing_secret::ensure(&mut spec);
    secret_fields::settle(&mut spec, &[])?;
    let sample = Sample {
        workspace: &sender.workspace,
        event_type: PING,
        data: &event_types::sample_data(PING),
        mapping: None,
    };
    let (attempt, _) = probe::attempt(&state, &spec, sample).await?;
    Ok(answer::json(&attempt))
}

/// Test a destination with an event type's sample: gives the attempt, whatever came of it
#[utoipa::path(post, path = "/api/v1/destinations/{id}/test", tag = "destinations", operation_id = "testDestination",
    params(crate::openapi::IdParam), request_body = TestRequest,
    responses((status = 200, body = crate::openapi::Attempt), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn test_saved(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let wanted: TestRequest = body.read()?;
    let event_type = wanted.event_type.as_deref().unwrap_or(PING);
    let data = event_types::sample_of(&state, &sender.workspace_id(), event_type).await?;
    let data = data.ok_or_else(|| ApiError::field("/event_type", "there is no such event type"))?;
    let reader = state.store.reader();
    let stored =
        Stored::<DestinationSpec>::find_with_secrets(reader, &state.key_ring, &sender.workspace_id(), &id)
            .await?;
    let mapping = mapping_to(reader, &stored.row, event_type).await?;
    let sample = Sample {
        workspace: &sender.workspace,
        event_type,
        data: &data,
        mapping: mapping.as_ref(),
    };
    let (attempt, _) = probe::attempt(&state, &stored.spec, sample).await?;
    Ok(answer::json(&attempt))
}
