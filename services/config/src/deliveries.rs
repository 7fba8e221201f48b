//! `/deliveries`: what went out, or is about to, and every attempt.

use actix_web::{HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookrail_domain::event_type::SYNC_RECORD;
use hookrail_domain::fetcher::as_destination;
use hookrail_domain::ids::{DeliveryId, EventId, Id, RunId};
use hookrail_domain::json::Json;
use hookrail_store::attempts::AttemptRow;
use hookrail_store::deliveries::DeliveryRow;
use hookrail_store::queries::{self, deliveries::DeliveryFilter};

use crate::answer;
use crate::authenticated::Authenticated;
use crate::definition::time;
use crate::error::ApiError;
use crate::paging::{PageQuery, page};
use crate::parameters::Parameters;
use crate::shown::{optional, stored_pairs};
use crate::state::ConfigState;

/// The statuses that can be asked for.
const STATUSES: [&str; 5] = ["pending", "parked", "delivered", "dead", "cancelled"];

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/deliveries")
                .route(web::get().to(list))
                .route(web::head().to(list)),
        )
        .service(
            web::resource("/deliveries/{id}")
                .route(web::get().to(read))
                .route(web::head().to(read)),
        );
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(list, read))]
pub(crate) struct Docs;

/// List deliveries
#[utoipa::path(get, path = "/api/v1/deliveries", tag = "deliveries", operation_id = "listDeliveries",
    params(crate::openapi::ListParams,
        ("destination" = Option<String>, Query, description = "A destination's id"),
        ("fetcher" = Option<String>, Query, description = "A fetcher's id: its calls"),
        ("source" = Option<String>, Query, description = "A source's id"),
        ("event" = Option<String>, Query, description = "An event's id"),
        ("run" = Option<String>, Query, description = "The id of a sync's run: its records"),
        ("status" = Option<String>, Query, description = "pending, parked, delivered, dead or cancelled"),
        ("lane" = Option<String>, Query, description = "A lane's id, as deliveries show it"),
        ("since" = Option<String>, Query, description = "Of events accepted at or after this time"),
        ("until" = Option<String>, Query, description = "Of events accepted before this time")),
    responses((status = 200, description = "A page of deliveries"), (status = 422, body = crate::openapi::ProblemDocument)))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    query: PageQuery,
    parameters: Parameters,
) -> Result<HttpResponse, ApiError> {
    let given = |name| parameters.text(name).map(str::to_owned);
    let filter = DeliveryFilter {
        workspace: sender.workspace_id(),
        destination: match parameters.text("fetcher") {
            Some(fetcher) => Some(called(fetcher)?),
            None => given("destination"),
        },
        source: given("source"),
        event: parameters
            .text("run")
            .map(|run| run.replacen(RunId::PREFIX, EventId::PREFIX, 1))
            .or_else(|| given("event")),
        status: parameters.word("status", &STATUSES)?,
        lane: given("lane"),
        span: parameters.span()?,
    };
    let rows = queries::deliveries::list(state.store.reader(), &filter, &query.by_id()).await?;
    Ok(page(&query, rows, |row| row.id.clone(), show))
}

/// Read a delivery with its attempts
#[utoipa::path(get, path = "/api/v1/deliveries/{id}", tag = "deliveries", operation_id = "readDelivery",
    params(crate::openapi::IdParam),
    responses((status = 200, description = "The delivery and its newest 200 attempts"), (status = 404, body = crate::openapi::ProblemDocument)))]
async fn read(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let missing = || ApiError::NotFound("delivery");
    let id: DeliveryId = id.parse().map_err(|_| missing())?;
    let reader = state.store.reader();
    let row = queries::deliveries::find(reader, &sender.workspace_id(), id)
        .await?
        .ok_or_else(missing)?;
    let attempts = queries::deliveries::attempts_of(reader, id).await?;
    let mut shown = show(&row);
    if let Json::Object(members) = &mut shown {
        members.insert("attempts".to_owned(), attempts.iter().map(attempt).collect());
    }
    Ok(answer::json(&shown))
}

/// Under which id the calls of a fetcher are stored.
fn called(fetcher: &str) -> Result<String, ApiError> {
    let id = fetcher.parse();
    let id = id.map_err(|_| ApiError::InvalidParameter("fetcher is not a fetcher's id".to_owned()))?;
    Ok(as_destination(id).to_string())
}

/// A delivery without its attempts.
pub(crate) fn show(row: &DeliveryRow) -> Json {
    let entity = row.entity_type.as_ref().map(|entity_type| {
        Json::from([
            ("type", Json::from(entity_type.as_str())),
            ("unique_id", optional(row.unique_id.as_deref())),
            // What a fetch asks for has none yet.
            (
                "version",
                optional(
                    row.entity_version
                        .as_deref()
                        .filter(|version| !version.is_empty()),
                ),
            ),
        ])
    });
    // What stands in the place of an event is the run.
    let run = (row.event_type == SYNC_RECORD).then(|| row.event.replacen(EventId::PREFIX, RunId::PREFIX, 1));
    let sequence = format!(
        "{}.{}.{}",
        row.origin_partition, row.origin_sequence, row.origin_index
    );
    Json::from([
        ("id", row.id.as_str().into()),
        ("event", optional(run.is_none().then_some(row.event.as_str()))),
        ("run", optional(run.as_deref())),
        ("event_type", row.event_type.as_str().into()),
        ("source", optional(row.source.as_deref())),
        (
            "destination",
            optional(row.fetcher.is_none().then_some(row.destination.as_str())),
        ),
        ("fetcher", optional(row.fetcher.as_deref())),
        ("route", optional(row.route.as_deref())),
        ("entity", entity.unwrap_or_default()),
        ("status", row.status.as_str().into()),
        (
            "error",
            failure(row.error_code.as_deref(), row.error_detail.as_deref()),
        ),
        (
            "lane",
            row.lane_key
                .as_ref()
                .map_or(Json::Null, |_| row.lane.as_str().into()),
        ),
        ("lane_key", optional(row.lane_key.as_deref())),
        (
            "sequence",
            match row.replay.is_some() || run.is_some() {
                true => Json::Null,
                false => sequence.into(),
            },
        ),
        ("replay", optional(row.replay.as_deref())),
        ("replayed_by", optional(row.replayed_by.as_deref())),
        ("replayed_as", optional(row.replayed_as.as_deref())),
        ("accepted_at", time(row.accepted_at)),
        ("attempts_made", row.attempts.into()),
        ("next_at", row.next_at.map_or(Json::Null, time)),
        ("settled_at", row.settled_at.map_or(Json::Null, time)),
    ])
}

fn attempt(row: &AttemptRow) -> Json {
    let request = Json::from([
        ("method", Json::from(row.method.as_str())),
        ("url", row.url.as_str().into()),
        ("headers", stored_pairs(&row.request_headers)),
    ]);
    let response = row.status.map(|status| {
        Json::from([
            ("status", Json::from(status)),
            ("headers", stored_pairs(&row.response_headers)),
            ("body", body_text(&row.response_body)),
            ("body_base64", STANDARD.encode(&row.response_body).into()),
        ])
    });
    Json::from([
        ("number", row.number.into()),
        ("started_at", time(row.started_at)),
        ("duration_ms", row.duration_ms.into()),
        ("request", request),
        ("response", response.unwrap_or_default()),
        (
            "error",
            failure(row.error_code.as_deref(), row.error_detail.as_deref()),
        ),
    ])
}

fn failure(code: Option<&str>, detail: Option<&str>) -> Json {
    code.map_or(Json::Null, |code| {
        Json::from([("code", Json::from(code)), ("detail", optional(detail))])
    })
}

/// An answer's body where it is text; a character that was cut off at its end is left out.
fn body_text(body: &[u8]) -> Json {
    match std::str::from_utf8(body) {
        Ok(text) => text.into(),
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&body[..error.valid_up_to()]).map_or(Json::Null, Json::from)
        }
        Err(_) => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_was_cut_within_a_character_is_still_text() {
        assert_eq!(body_text("aä".as_bytes()), Json::from("aä"));
        assert_eq!(body_text(&"aä".as_bytes()[..2]), Json::from("a"));
        assert_eq!(body_text(b"\xff\xfe"), Json::Null);
    }
}
