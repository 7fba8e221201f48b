//! `/sources/{id}/status` and `/rejections`: whether a source works, in figures that add up.

use actix_web::{HttpResponse, web};
use futures::{StreamExt, TryStreamExt};
use hookrail_domain::ids::SourceId;
use hookrail_domain::json::Json;
use hookrail_domain::source::SourceSpec;
use hookrail_store::queries::source_status::{SourceProgress, progress};
use hookrail_store::rejections::{self, RejectionRow};
use hookrail_store::source_refusals;
use hookrail_store::source_warnings::{self, WarningRow};

use crate::answer;
use crate::authenticated::Authenticated;
use crate::definition::{Stored, time};
use crate::error::ApiError;
use crate::respond_rules;
use crate::shown::{optional, stored_pairs};
use crate::state::ConfigState;

/// Partitions that are asked at once.
const ASKED_AT_ONCE: usize = 8;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/sources/{id}/status")
                .route(web::get().to(status))
                .route(web::head().to(status)),
        )
        .service(
            web::resource("/sources/{id}/rejections")
                .route(web::get().to(list_rejections))
                .route(web::head().to(list_rejections)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(status, list_rejections))]
pub(crate) struct Docs;

/// What a source has received, what became of it, and what is wrong with its rules
#[utoipa::path(get, path = "/api/v1/sources/{id}/status", tag = "sources", operation_id = "readSourceStatus",
    params(crate::openapi::IdParam),
    responses((status = 200, description = "received = processed + filtered + failed + duplicate + queued"),
        (status = 404, body = crate::openapi::ProblemDocument)))]
async fn status(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let reader = state.store.reader();
    let source = Stored::<SourceSpec>::find(reader, &sender.workspace_id(), &id).await?;
    let id = source.id()?;
    // The figures first, the log after them: what comes in meanwhile is queued, and counted once.
    let progress = progress(reader, id).await?;
    let queued = progress.held + queued(&state, id, &progress).await?;
    let warnings = source_warnings::of_source(reader, id).await?;
    let mut warnings: Vec<Json> = warnings.iter().map(warning).collect();
    if is_respond_missing(&state, &sender, &source, id).await? {
        warnings.push(respond_missing());
    }
    let refused = source_refusals::of_source(reader, id).await?;
    let counts = progress.counts;
    let ended = counts.processed + counts.filtered + counts.failed + counts.duplicate;
    let received = i64::try_from(queued).unwrap_or(i64::MAX).saturating_add(ended);
    let causes = refused
        .iter()
        .map(|(code, number)| (code.clone(), Json::from(*number)))
        .collect();
    Ok(answer::json(&Json::from([
        (
            "state",
            Json::from(state_of(&source.spec, received > 0, !warnings.is_empty())),
        ),
        (
            "last_event_at",
            if counts.last_event_at == 0 {
                Json::Null
            } else {
                time(counts.last_event_at)
            },
        ),
        ("received", received.into()),
        ("processed", counts.processed.into()),
        ("filtered", counts.filtered.into()),
        ("failed", counts.failed.into()),
        ("duplicate", counts.duplicate.into()),
        ("queued", queued.into()),
        ("rejected", refused.values().sum::<i64>().into()),
        ("rejected_by_cause", Json::Object(causes)),
        ("warnings", warnings.into()),
    ])))
}

/// The last 100 refused requests of a source
#[utoipa::path(get, path = "/api/v1/sources/{id}/rejections", tag = "sources", operation_id = "listRejections",
    params(crate::openapi::IdParam),
    responses((status = 200, description = "The newest first; no bodies, no credentials"),
        (status = 404, body = crate::openapi::ProblemDocument)))]
async fn list_rejections(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let reader = state.store.reader();
    let source = Stored::<SourceSpec>::find(reader, &sender.workspace_id(), &id).await?;
    let rows = rejections::of_source(reader, source.id()?).await?;
    let items: Json = rows.iter().map(rejection).collect();
    Ok(answer::json(&Json::from([
        ("items", items),
        ("next_cursor", Json::Null),
    ])))
}

/// Events of a source that nobody has looked at yet: those above each partition's committed sequence.
async fn queued(state: &ConfigState, source: SourceId, progress: &SourceProgress) -> Result<u64, ApiError> {
    let partitions = 0..state.broker.settings().partitions;
    let source = source.to_string();
    let asked = futures::stream::iter(partitions).map(|partition| {
        let (committed, source) = (progress.committed_in(partition), source.as_str());
        async move {
            let log = state.broker.raw_state(partition).await?;
            if log.last_sequence <= committed {
                return Ok(0);
            }
            state
                .broker
                .pending_by_source(partition, source, committed)
                .await
                .map_err(ApiError::from)
        }
    });
    asked
        .buffer_unordered(ASKED_AT_ONCE)
        .try_fold(0, async |sum, pending| Ok(sum + pending))
        .await
}

fn state_of(spec: &SourceSpec, has_events: bool, has_warnings: bool) -> &'static str {
    match (spec.enabled, spec.paused) {
        (false, _) => "disabled",
        (true, true) => "paused",
        (true, false) if has_warnings => "warning",
        (true, false) if has_events => "receiving",
        (true, false) => "waiting",
    }
}

/// Whether senders wait for answers that no route gives.
async fn is_respond_missing(
    state: &ConfigState,
    sender: &Authenticated,
    source: &Stored<SourceSpec>,
    id: SourceId,
) -> Result<bool, ApiError> {
    if !source.spec.request_response.enabled {
        return Ok(false);
    }
    let routes = respond_rules::answering(state.store.reader(), &sender.workspace_id(), id).await?;
    Ok(routes.is_empty())
}

/// It follows from the definitions alone, so no event shows it.
fn respond_missing() -> Json {
    Json::from([
        ("code", Json::from("respond.missing")),
        ("field", "request_response".into()),
        ("path", "".into()),
        ("event_id", Json::Null),
        ("at", Json::Null),
    ])
}

fn warning(row: &WarningRow) -> Json {
    Json::from([
        ("code", Json::from(row.code.as_str())),
        ("field", row.field.as_str().into()),
        ("path", row.path.as_str().into()),
        ("event_id", row.event.as_str().into()),
        ("at", time(row.at)),
    ])
}

fn rejection(row: &RejectionRow) -> Json {
    Json::from([
        ("at", time(row.at)),
        ("code", Json::from(row.code.as_str())),
        ("detail", row.detail.as_str().into()),
        ("remote_addr", optional(row.remote_addr.as_deref())),
        ("method", row.method.as_str().into()),
        ("headers", stored_pairs(&row.headers)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_in_one_state() {
        let check = |enabled, paused, events, warnings, expected| {
            let spec = SourceSpec {
                enabled,
                paused,
                ..SourceSpec::default()
            };
            assert_eq!(state_of(&spec, events, warnings), expected);
        };
        check(false, true, true, true, "disabled");
        check(true, true, true, true, "paused");
        check(true, false, true, true, "warning");
        check(true, false, true, false, "receiving");
        check(true, false, false, false, "waiting");
    }
}
