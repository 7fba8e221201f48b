//! `POST /deliveries/{id}/retry` and `…/cancel`: what a person does about one delivery.
//!
//! What waits is asked of the owner of its partition; a dead one is taken from its dead letter and
//! published again, one generation on. Repeating a request changes nothing more.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use hookrail_domain::delivery::DeliveryStatus;
use hookrail_domain::destination::Destination;
use hookrail_domain::ids::DeliveryId;
use hookrail_domain::lane::{CommandAnswer, LaneKey, Target, Verb};
use hookrail_domain::partition;
use hookrail_store::deliveries::DeliveryRow;
use hookrail_store::queries;
use tokio::time::Instant;

use crate::answer;
use crate::audit_trail::{self, Deed};
use crate::authenticated::Authenticated;
use crate::deliveries::show;
use crate::error::ApiError;
use crate::state::ConfigState;
use crate::{owner, revive};

/// How long an answer waits for the journal to show what was done.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);
/// How often it looks.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/deliveries/{id}/retry").route(web::post().to(retry)))
        .service(web::resource("/deliveries/{id}/cancel").route(web::post().to(cancel)));
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(retry, cancel))]
pub(crate) struct Docs;

/// Send a delivery now: one that waits doesn't wait any longer, a dead one begins anew
#[utoipa::path(post, path = "/api/v1/deliveries/{id}/retry", tag = "deliveries", operation_id = "retryDelivery",
    params(crate::openapi::IdParam),
    responses((status = 202, description = "The delivery, which is sent as soon as its turn comes"),
        (status = 404, body = crate::openapi::ProblemDocument),
        (status = 409, description = "`delivery-delivered`, `delivery-cancelled`, `not-at-head`, `destination-disabled`, `destination-deleted`, `dead-letter-expired`", body = crate::openapi::ProblemDocument),
        (status = 503, description = "No dispatcher owns its partition now, or it is on its way: ask again", body = crate::openapi::ProblemDocument)))]
async fn retry(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let row = find(&state, &sender, &id).await?;
    let destination = destination(&state, &row)?;
    let shown = match row.status.as_str() {
        "dead" => {
            revive::revive(&state, &row, &destination).await?;
            let raised = |now: &DeliveryRow| now.generation > row.generation;
            shown_once(&state, &sender, &id, raised).await?
        }
        "delivered" | "cancelled" => return Err(settled(&row.status)),
        _ => {
            retry_waiting(&state, &row, &destination).await?;
            find(&state, &sender, &id).await?
        }
    };
    audit_trail::note(&state, &sender, Deed::command("retried", "delivery", &row.id)).await?;
    Ok(answer::with_status(StatusCode::ACCEPTED, None, &show(&shown)))
}

async fn retry_waiting(
    state: &ConfigState,
    row: &DeliveryRow,
    destination: &Destination,
) -> Result<(), ApiError> {
    if !destination.spec.enabled {
        let detail = "its destination is disabled: enable it, and it is sent";
        return Err(ApiError::conflict("destination-disabled", detail));
    }
    match ask(state, row, destination, Verb::Retry).await? {
        CommandAnswer::Done => Ok(()),
        CommandAnswer::NotHead => Err(not_at_head()),
        CommandAnswer::Delivered => Err(settled("delivered")),
        CommandAnswer::NotFound | CommandAnswer::Busy => Err(on_its_way()),
    }
}

/// Cancel a delivery that waits; of one that is being sent the outcome counts
#[utoipa::path(post, path = "/api/v1/deliveries/{id}/cancel", tag = "deliveries", operation_id = "cancelDelivery",
    params(crate::openapi::IdParam),
    responses((status = 200, description = "The delivery, which is not sent any more"),
        (status = 404, body = crate::openapi::ProblemDocument),
        (status = 409, description = "`delivery-delivered`, `delivery-dead`, `destination-deleted`", body = crate::openapi::ProblemDocument),
        (status = 503, description = "No dispatcher owns its partition now, or it is on its way: ask again", body = crate::openapi::ProblemDocument)))]
async fn cancel(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let row = find(&state, &sender, &id).await?;
    match row.status.as_str() {
        "cancelled" => return Ok(answer::json(&show(&row))),
        "delivered" | "dead" => return Err(settled(&row.status)),
        _ => {}
    }
    let destination = destination(&state, &row)?;
    match ask(&state, &row, &destination, Verb::Cancel).await? {
        CommandAnswer::Done => {}
        CommandAnswer::Delivered => return Err(settled("delivered")),
        CommandAnswer::NotHead | CommandAnswer::NotFound | CommandAnswer::Busy => {
            // It may have been settled while it was looked for.
            let now = find(&state, &sender, &id).await?;
            return match now.status.as_str() {
                "cancelled" => Ok(answer::json(&show(&now))),
                "delivered" | "dead" => Err(settled(&now.status)),
                _ => Err(on_its_way()),
            };
        }
    }
    let cancelled = |now: &DeliveryRow| now.status == DeliveryStatus::Cancelled.as_str();
    let shown = shown_once(&state, &sender, &id, cancelled).await?;
    audit_trail::note(&state, &sender, Deed::command("cancelled", "delivery", &row.id)).await?;
    Ok(answer::json(&show(&shown)))
}

async fn ask(
    state: &ConfigState,
    row: &DeliveryRow,
    destination: &Destination,
    verb: Verb,
) -> Result<CommandAnswer, ApiError> {
    let lane = u64::from_str_radix(&row.lane, 16).map_err(|error| ApiError::Internal(error.into()))?;
    let delivery = row.id.parse().map_err(|_| ApiError::NotFound("delivery"))?;
    let target = Target {
        delivery,
        destination: destination.id,
        lane: row.lane_key.is_some().then(|| LaneKey::from_u64(lane)),
    };
    let partitions = state.broker.settings().partitions;
    let partition = partition::of_lane(destination.id, lane, destination.spec.spread, partitions);
    owner::command(state, partition, verb, target).await
}

async fn find(state: &ConfigState, sender: &Authenticated, id: &str) -> Result<DeliveryRow, ApiError> {
    let missing = || ApiError::NotFound("delivery");
    let id: DeliveryId = id.parse().map_err(|_| missing())?;
    let found = queries::deliveries::find(state.store.reader(), &sender.workspace_id(), id).await?;
    found.ok_or_else(missing)
}

/// The delivery as soon as the journal shows what was done, or as it is shown after a while.
async fn shown_once(
    state: &ConfigState,
    sender: &Authenticated,
    id: &str,
    done: impl Fn(&DeliveryRow) -> bool,
) -> Result<DeliveryRow, ApiError> {
    let begun = Instant::now();
    loop {
        let row = find(state, sender, id).await?;
        if done(&row) || begun.elapsed() >= SHOWN_WITHIN {
            return Ok(row);
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// The delivery's destination, or fetcher, as it is in force.
fn destination(state: &ConfigState, row: &DeliveryRow) -> Result<Destination, ApiError> {
    let id = row
        .destination
        .parse()
        .map_err(|_| ApiError::NotFound("destination"))?;
    let found = state.snapshots.current().receiver(id).cloned();
    found.map(|found| (*found).clone()).ok_or_else(|| {
        ApiError::conflict(
            "destination-deleted",
            "its destination, or fetcher, was deleted: nothing is sent there",
        )
    })
}

fn settled(status: &str) -> ApiError {
    let (code, detail) = match status {
        "delivered" => ("delivery-delivered", "the receiver has it already"),
        "dead" => ("delivery-dead", "it is dead already"),
        _ => ("delivery-cancelled", "it was cancelled"),
    };
    ApiError::conflict(code, detail)
}

fn not_at_head() -> ApiError {
    let detail = "it waits behind another delivery of its lane, and is sent after it";
    ApiError::conflict("not-at-head", detail)
}

fn on_its_way() -> ApiError {
    ApiError::Unavailable("it is on its way from one place to another".to_owned())
}
