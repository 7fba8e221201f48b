//! `/destinations/{id}/lanes`: the parked lanes of a destination, and what a person does about their heads.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use hookrail_domain::destination::DestinationSpec;
use hookrail_domain::ids::{DeliveryId, DestinationId};
use hookrail_domain::json::Json;
use hookrail_domain::lane::{CommandAnswer, LaneKey, Target, Verb, WaitingLane};
use hookrail_domain::partition;
use hookrail_store::deliveries::lane_text;
use hookrail_store::queries;
use serde::Deserialize;

use crate::answer;
use crate::audit_trail::{self, Deed};
use crate::authenticated::Authenticated;
use crate::definition::{Stored, time};
use crate::error::ApiError;
use crate::json_body::JsonBody;
use crate::owner;
use crate::paging::{PageQuery, page};
use crate::parameters::Parameters;
use crate::state::ConfigState;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/destinations/{id}/lanes")
                .route(web::get().to(list))
                .route(web::head().to(list)),
        )
        .service(web::resource("/destinations/{id}/lanes/{lane_id}/retry").route(web::post().to(retry)))
        .service(web::resource("/destinations/{id}/lanes/{lane_id}/skip").route(web::post().to(skip)));
}

#[derive(utoipa::OpenApi)]
#[openapi(
    paths(list, retry, skip),
    components(schemas(LaneList, ParkedLane, LaneDelivery))
)]
pub(crate) struct Docs;

/// A page of parked lanes.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "read by the derive of its schema")]
pub(crate) struct LaneList {
    items: Vec<ParkedLane>,
    next_cursor: Option<String>,
}

/// A parked lane.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "read by the derive of its schema")]
pub(crate) struct ParkedLane {
    /// Its id, as deliveries show it.
    lane_id: String,
    /// Its ordering key, where its head is known.
    key: Option<String>,
    /// retry, overflow, limit, disabled or held.
    reason: String,
    /// The delivery at its head.
    head: Option<String>,
    /// The head's attempts since it was parked or retried.
    attempts: u32,
    /// Deliveries in it, the head included.
    waiting: u64,
    /// When the head is sent next.
    next_at: Option<String>,
}

/// The delivery that a lane's retry or skip was about.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "read by the derive of its schema")]
pub(crate) struct LaneDelivery {
    lane_id: String,
    delivery: String,
}

/// Which head is meant.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HeadOfLane {
    /// Only while this delivery is at the head: so that a request that comes twice is done once.
    #[schema(value_type = Option<String>)]
    delivery: Option<String>,
}

/// List the lanes of a destination whose head waits, by lane id
#[utoipa::path(get, path = "/api/v1/destinations/{id}/lanes", tag = "destinations", operation_id = "listLanes",
    params(crate::openapi::IdParam, crate::openapi::ListParams,
        ("state" = Option<String>, Query, description = "parked, the only state that is listed")),
    responses((status = 200, body = LaneList), (status = 404, body = crate::openapi::ProblemDocument),
        (status = 503, description = "No dispatcher owns one of its partitions now", body = crate::openapi::ProblemDocument)))]
async fn list(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    id: web::Path<String>,
    query: PageQuery,
    parameters: Parameters,
) -> Result<HttpResponse, ApiError> {
    parameters.word("state", &["parked"])?;
    let stored = Stored::<DestinationSpec>::find(state.store.reader(), &sender.workspace_id(), &id).await?;
    let after = query.after.as_deref().map(|after| {
        lane_key(after).ok_or_else(|| ApiError::InvalidParameter("cursor is none of this list".to_owned()))
    });
    let most = u32::try_from(query.limit + 1).unwrap_or(u32::MAX);
    let lanes = owner::lanes(&state, stored.id()?, stored.spec.spread, after.transpose()?, most).await?;
    let heads: Vec<DeliveryId> = lanes.iter().filter_map(|lane| lane.head).collect();
    let keys = queries::deliveries::keys_of(state.store.reader(), &heads).await?;
    let key_of = |lane: &WaitingLane| keys.get(&lane.head?.to_string()).map(String::as_str);
    let lane_id = |lane: &WaitingLane| lane_text(lane.lane.key.as_u64());
    Ok(page(&query, lanes, lane_id, |lane| show(lane, key_of(lane))))
}

fn show(lane: &WaitingLane, key: Option<&str>) -> Json {
    let head = lane.head.map(|head| head.to_string());
    Json::from([
        ("lane_id", lane_text(lane.lane.key.as_u64()).into()),
        ("key", key.map_or(Json::Null, Json::from)),
        ("reason", lane.reason.as_str().into()),
        ("head", head.map_or(Json::Null, Json::from)),
        ("attempts", i64::from(lane.progress.attempts).into()),
        ("waiting", lane.waiting.into()),
        ("next_at", lane.next_at.map_or(Json::Null, time)),
    ])
}

/// Send the head of a parked lane now, whatever it waits for
#[utoipa::path(post, path = "/api/v1/destinations/{id}/lanes/{lane_id}/retry", tag = "destinations", operation_id = "retryLane",
    params(("id" = String, Path, description = "A destination's id"), ("lane_id" = String, Path, description = "A lane's id")),
    request_body = HeadOfLane,
    responses((status = 202, body = LaneDelivery), (status = 404, description = "No such destination, or the lane is not parked", body = crate::openapi::ProblemDocument),
        (status = 409, description = "`not-at-head`, `delivery-delivered`, `destination-disabled`", body = crate::openapi::ProblemDocument),
        (status = 503, description = "No dispatcher owns its partition now, or the head is being sent", body = crate::openapi::ProblemDocument)))]
async fn retry(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    path: web::Path<(String, String)>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let shown = act(&state, &sender, &path, &body, Verb::Retry).await?;
    Ok(answer::with_status(StatusCode::ACCEPTED, None, &shown))
}

/// Give the head of a parked lane up as dead, and go on with the next
#[utoipa::path(post, path = "/api/v1/destinations/{id}/lanes/{lane_id}/skip", tag = "destinations", operation_id = "skipLane",
    params(("id" = String, Path, description = "A destination's id"), ("lane_id" = String, Path, description = "A lane's id")),
    request_body = HeadOfLane,
    responses((status = 200, body = LaneDelivery), (status = 404, description = "No such destination, or the lane is not parked", body = crate::openapi::ProblemDocument),
        (status = 409, description = "`not-at-head`, `delivery-delivered`", body = crate::openapi::ProblemDocument),
        (status = 503, description = "No dispatcher owns its partition now, or the head is being sent", body = crate::openapi::ProblemDocument)))]
async fn skip(
    state: web::Data<ConfigState>,
    sender: Authenticated,
    path: web::Path<(String, String)>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    Ok(answer::json(
        &act(&state, &sender, &path, &body, Verb::Skip).await?,
    ))
}

async fn act(
    state: &ConfigState,
    sender: &Authenticated,
    (id, lane_id): &(String, String),
    body: &JsonBody,
    verb: Verb,
) -> Result<Json, ApiError> {
    let meant: HeadOfLane = body.read()?;
    let stored = Stored::<DestinationSpec>::find(state.store.reader(), &sender.workspace_id(), id).await?;
    if verb == Verb::Retry && !stored.spec.enabled {
        let detail = "the destination is disabled: enable it, and its lanes go on";
        return Err(ApiError::conflict("destination-disabled", detail));
    }
    let key = lane_key(lane_id).ok_or(ApiError::NotFound("parked lane"))?;
    let destination: DestinationId = stored.id()?;
    let partitions = state.broker.settings().partitions;
    let partition = partition::of_lane(destination, key.as_u64(), stored.spec.spread, partitions);
    let lane = owner::lane(state, partition, destination, key).await?;
    let head = head_of(lane, &meant)?;
    let target = Target {
        delivery: head,
        destination,
        lane: Some(key),
    };
    match owner::command(state, partition, verb, target).await? {
        CommandAnswer::Done => {
            let done = Json::from([
                ("lane_id", Json::from(lane_id.as_str())),
                ("delivery", head.to_string().into()),
            ]);
            let action = match verb {
                Verb::Skip => "skipped",
                _ => "retried",
            };
            let deed = Deed::command(action, "lane", &stored.row.id).with_after(&done);
            audit_trail::note(state, sender, deed).await?;
            Ok(done)
        }
        CommandAnswer::Delivered => Err(ApiError::conflict(
            "delivery-delivered",
            "the receiver has it already",
        )),
        CommandAnswer::NotHead | CommandAnswer::NotFound | CommandAnswer::Busy => Err(not_at_head()),
    }
}

/// The delivery at the lane's head, which is the one meant where one is named.
fn head_of(lane: Option<WaitingLane>, meant: &HeadOfLane) -> Result<DeliveryId, ApiError> {
    let wrong = |_| ApiError::field("/delivery", "is not a delivery's id");
    let meant: Option<DeliveryId> = meant
        .delivery
        .as_ref()
        .map(|id| id.parse().map_err(wrong))
        .transpose()?;
    match (lane, meant) {
        (None, Some(_)) => Err(not_at_head()),
        (None, None) => Err(ApiError::NotFound("parked lane")),
        (Some(lane), meant) => {
            let unread = || ApiError::Unavailable("the lane's head is not known now".to_owned());
            let head = lane.head.ok_or_else(unread)?;
            match meant {
                Some(meant) if meant != head => Err(not_at_head()),
                _ => Ok(head),
            }
        }
    }
}

fn not_at_head() -> ApiError {
    ApiError::conflict(
        "not-at-head",
        "another delivery is at the lane's head, or none is",
    )
}

/// A lane's id: 16 hexadecimal digits.
fn lane_key(text: &str) -> Option<LaneKey> {
    let digits = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let number = u64::from_str_radix(text, 16).ok().filter(|_| digits)?;
    Some(LaneKey::from_u64(number))
}
