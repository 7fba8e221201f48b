//! Trying a receiver: before a destination is saved, and whenever its owner wants to.

use actix_web::{HttpRequest, web};
use hookrail_domain::destination::DestinationSpec;
use hookrail_domain::event_type::PING;
use hookrail_domain::ids::DeliveryId;
use hookrail_domain::json::{Json, Members};
use hookrail_domain::mapping::Mapping;
use hookrail_domain::workspace::Workspace;
use hookrail_outbound::{AttemptError, AttemptResponse, AttemptResult, ConnectionProfile};
use hookrail_runtime::clock;

use crate::definition::time;
use crate::error::ApiError;
use crate::sample_body::Sample;
use crate::state::{ConfigState, new_id};
use crate::{event_types, test_request};

/// How far a probe goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeMode {
    /// A whole request, which has to be answered with 2xx.
    Request,
    /// DNS, TCP and TLS.
    Connect,
    /// None.
    Off,
}

impl ProbeMode {
    /// The query parameter `probe`.
    pub(crate) fn read(request: &HttpRequest) -> Result<Self, ApiError> {
        let wrong = || ApiError::InvalidParameter("probe has to be true, connect or false".to_owned());
        let query =
            web::Query::<Vec<(String, String)>>::from_query(request.query_string()).map_err(|_| wrong())?;
        match query
            .iter()
            .find(|(name, _)| name == "probe")
            .map(|(_, value)| value.as_str())
        {
            None | Some("true") => Ok(Self::Request),
            Some("connect") => Ok(Self::Connect),
            Some("false") => Ok(Self::Off),
            Some(_) => Err(wrong()),
        }
    }
}

/// Whether a change is one after which the receiver may not be reached any more.
pub(crate) fn is_needed(before: &DestinationSpec, after: &DestinationSpec) -> bool {
    before.url != after.url
        || before.auth != after.auth
        || before.tls != after.tls
        || before.proxy != after.proxy
}

/// Refuses, with the attempt, where the receiver doesn't answer well.
pub(crate) async fn check(
    state: &ConfigState,
    workspace: &Workspace,
    spec: &DestinationSpec,
    mapping: Option<&Mapping>,
    mode: ProbeMode,
) -> Result<(), ApiError> {
    match mode {
        ProbeMode::Off => Ok(()),
        ProbeMode::Connect => connect(state, spec).await,
        ProbeMode::Request => {
            let sample = Sample {
                workspace,
                event_type: PING,
                data: &event_types::sample_data(PING),
                mapping,
            };
            let (attempt, is_success) = attempt(state, spec, sample).await?;
            if is_success {
                Ok(())
            } else {
                Err(ApiError::ProbeFailed(attempt))
            }
        }
    }
}

/// Sends a sample; gives the attempt as it is shown, and whether it was a success.
pub(crate) async fn attempt(
    state: &ConfigState,
    spec: &DestinationSpec,
    sample: Sample<'_>,
) -> Result<(Json, bool), ApiError> {
    let now = clock::now_ms();
    let body = sample
        .body(spec, now)
        .map_err(|error| ApiError::field("/format", error.to_string()))?;
    let webhook_id = new_id::<DeliveryId>().to_string();
    let made = test_request::build(spec, &webhook_id, body, now)
        .map_err(|error| ApiError::field(error.pointer(), error.to_string()))?;
    let result = state.outbound.send(&made.request).await;
    let attempt = show(now, test_request::show(&made), &result);
    Ok((attempt, result.is_success()))
}

async fn connect(state: &ConfigState, spec: &DestinationSpec) -> Result<(), ApiError> {
    let now = clock::now_ms();
    let profile = ConnectionProfile::of(spec, now)
        .map_err(|error| ApiError::field(error.pointer(), error.to_string()))?;
    let timeout_ms = u64::from(spec.timeout_ms);
    let result = state
        .outbound
        .probe_connect(&spec.url, profile.as_ref(), timeout_ms)
        .await;
    if result.error.is_none() {
        Ok(())
    } else {
        Err(ApiError::ProbeFailed(show(now, Json::Null, &result)))
    }
}

/// An exchange as it is shown.
pub(crate) fn show(started_at: i64, request: Json, result: &AttemptResult) -> Json {
    Json::from([
        ("started_at", time(started_at)),
        ("duration_ms", result.duration_ms.into()),
        ("request", request),
        (
            "response",
            result.response.as_ref().map_or(Json::Null, show_response),
        ),
        ("error", result.error.as_ref().map_or(Json::Null, show_error)),
    ])
}

fn show_response(response: &AttemptResponse) -> Json {
    let headers: Members = response
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    Json::from([
        ("status", i64::from(response.status).into()),
        ("headers", Json::Object(headers)),
        (
            "body",
            String::from_utf8_lossy(&response.body).into_owned().into(),
        ),
        ("body_truncated", response.body_truncated.into()),
    ])
}

fn show_error(error: &AttemptError) -> Json {
    Json::from([
        ("code", Json::from(error.code.as_str())),
        ("detail", error.detail.as_str().into()),
    ])
}
