//! Asking the owners of delivery partitions. Where nobody owns one now, or none answers, the request is
//! answered with 503: what was asked may be asked again.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use hookrail_broker::AskError;
use hookrail_broker::codec::{Ask, OwnerAnswer, OwnerRequest};
use hookrail_domain::ids::DestinationId;
use hookrail_domain::lane::{CommandAnswer, LaneKey, Target, Verb, WaitingLane};
use hookrail_domain::partition;
use hookrail_runtime::random;
use tokio::time::Instant;

use crate::error::ApiError;
use crate::state::ConfigState;

/// How long a request waits for an owner's answer. An attempt in flight is waited for, and a large
/// parked stream is searched.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause before an owner is asked again that said to come again.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// How long one that says so is asked again.
const BUSY_PATIENCE: Duration = Duration::from_secs(3);
/// Owners that are asked at once.
const OWNERS_AT_ONCE: usize = 16;

/// Asks for something to be done with a delivery that waits in `partition`. Never `Busy`.
pub(crate) async fn command(
    state: &ConfigState,
    partition: u32,
    verb: Verb,
    target: Target,
) -> Result<CommandAnswer, ApiError> {
    let request = OwnerRequest {
        id: random::hex_token::<16>(),
        ask: Ask::Command(verb, target),
    };
    let begun = Instant::now();
    loop {
        let patience = PATIENCE.saturating_sub(begun.elapsed());
        let answer = ask(state, partition, &request, patience).await?;
        let OwnerAnswer::Outcome(outcome) = answer else {
            return Err(unexpected());
        };
        // What is not there may be on its way from the log to its owner.
        let again = matches!(outcome, CommandAnswer::Busy | CommandAnswer::NotFound);
        if !again {
            return Ok(outcome);
        }
        if begun.elapsed() >= BUSY_PATIENCE {
            return match outcome {
                CommandAnswer::Busy => Err(ApiError::Unavailable("it is being sent or moved".to_owned())),
                outcome => Ok(outcome),
            };
        }
        tokio::time::sleep(BUSY_PAUSE).await;
    }
}

/// The parked lanes of a destination in all its partitions, the lowest first, at most `most`.
pub(crate) async fn lanes(
    state: &ConfigState,
    destination: DestinationId,
    spread: u32,
    after: Option<LaneKey>,
    most: u32,
) -> Result<Vec<WaitingLane>, ApiError> {
    let partitions = state.broker.settings().partitions;
    let ask = Ask::Lanes {
        destination,
        after,
        most,
    };
    let of_partition = |number| lanes_of(state, number, ask);
    let found = stream::iter(partition::of_destination(destination, spread, partitions).into_keys())
        .map(of_partition)
        .buffer_unordered(OWNERS_AT_ONCE);
    let mut lanes: Vec<WaitingLane> = found.try_concat().await?;
    lanes.sort_unstable_by_key(|lane| lane.lane);
    lanes.truncate(most as usize);
    Ok(lanes)
}

/// One lane, where it is parked.
pub(crate) async fn lane(
    state: &ConfigState,
    partition: u32,
    destination: DestinationId,
    key: LaneKey,
) -> Result<Option<WaitingLane>, ApiError> {
    let ask = Ask::Lanes {
        destination,
        after: key.as_u64().checked_sub(1).map(LaneKey::from_u64),
        most: 1,
    };
    let found = lanes_of(state, partition, ask).await?;
    Ok(found.into_iter().find(|lane| lane.lane.key == key))
}

async fn lanes_of(state: &ConfigState, partition: u32, ask: Ask) -> Result<Vec<WaitingLane>, ApiError> {
    let request = OwnerRequest {
        id: random::hex_token::<16>(),
        ask,
    };
    match self::ask(state, partition, &request, PATIENCE).await? {
        OwnerAnswer::Lanes(lanes) => Ok(lanes),
        OwnerAnswer::Outcome(_) => Err(unexpected()),
    }
}

async fn ask(
    state: &ConfigState,
    partition: u32,
    request: &OwnerRequest,
    patience: Duration,
) -> Result<OwnerAnswer, ApiError> {
    let answer = state.broker.ask_owner(partition, request, patience).await;
    answer.map_err(|error| match error {
        AskError::NoOwner => {
            ApiError::Unavailable(format!("no dispatcher owns delivery partition {partition} now"))
        }
        AskError::Unknown(reason) => {
            tracing::warn!(partition, reason, "a delivery partition's owner does not answer");
            let detail = "the delivery's dispatcher did not answer in time: it may or may not have been done";
            ApiError::Unavailable(detail.to_owned())
        }
    })
}

fn unexpected() -> ApiError {
    ApiError::Internal(anyhow::anyhow!("an owner answered something else"))
}
