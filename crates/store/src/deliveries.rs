//! Deliveries: what became of each. A state is only ever raised: by generation, then rank (pending,
//! parked, given up, delivered), then the owner's epoch, then the number of attempts.

use std::collections::{BTreeMap, HashSet};

use hookrail_domain::{
    delivery::DeliveryStatus,
    ids::{DeliveryId, ReplayId},
    journal::{DeliveryFacts, DeliveryRank, StateRecord},
    partition,
};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use crate::{StoreError, rows, statement};

/// A delivery as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct DeliveryRow {
    /// Its id.
    pub id: String,
    /// Its workspace.
    pub workspace: String,
    /// The event that it delivers.
    pub event: String,
    /// That event's type.
    pub event_type: String,
    /// The event's source.
    pub source: Option<String>,
    /// Where it goes; of a fetch, the fetcher in the place of a destination.
    pub destination: String,
    /// The fetcher whose call it is.
    pub fetcher: Option<String>,
    /// The route that planned it.
    pub route: Option<String>,
    /// The entity's type.
    pub entity_type: Option<String>,
    /// The entity's unique id.
    pub unique_id: Option<String>,
    /// The entity's version.
    pub entity_version: Option<String>,
    /// The ordering key.
    pub lane_key: Option<String>,
    /// The lane's number, 16 hexadecimal digits.
    pub lane: String,
    /// Where its event is in the log: the partition.
    pub origin_partition: i64,
    /// The sequence.
    pub origin_sequence: i64,
    /// The place among the event's deliveries.
    pub origin_index: i64,
    /// When its event was accepted, milliseconds.
    pub accepted_at: i64,
    /// The replay that made it.
    pub replay: Option<String>,
    /// What became of it.
    pub status: String,
    /// Raised by every manual retry.
    pub generation: i64,
    /// 0 pending, 1 parked, 2 dead or cancelled, 3 delivered.
    pub rank: i64,
    /// The epoch of the owner that reported it.
    pub epoch: i64,
    /// Attempts made so far.
    pub attempts: i64,
    /// When it is tried next, milliseconds.
    pub next_at: Option<i64>,
    /// When it was settled, milliseconds.
    pub settled_at: Option<i64>,
    /// Why it failed.
    pub error_code: Option<String>,
    /// Why it failed, for people.
    pub error_detail: Option<String>,
    /// The replay that sent it again last.
    pub replayed_by: Option<String>,
    /// The delivery that it was sent again as.
    pub replayed_as: Option<String>,
}

macro_rules! reported {
    () => {
        "id, workspace, event, event_type, source, destination, fetcher, route, entity_type, unique_id, \
         entity_version, lane_key, lane, origin_partition, origin_sequence, origin_index, accepted_at, replay, \
         status, generation, rank, epoch, attempts, next_at, settled_at, error_code, error_detail"
    };
}

/// The columns of a [`DeliveryRow`].
pub const COLUMNS: &str = concat!(reported!(), ", replayed_by, replayed_as");

/// Ids looked up in one statement.
const MAX_IDS: usize = 1_000;

const RAISE: &str = "ON CONFLICT (id) DO UPDATE SET status = excluded.status, generation = excluded.generation, \
     rank = excluded.rank, epoch = excluded.epoch, attempts = excluded.attempts, next_at = excluded.next_at, \
     settled_at = excluded.settled_at, error_code = excluded.error_code, error_detail = excluded.error_detail \
     WHERE (excluded.generation, excluded.rank, excluded.epoch, excluded.attempts) \
         > (deliveries.generation, deliveries.rank, deliveries.epoch, deliveries.attempts)";

/// Stores deliveries as pending; those that are known already, in whatever state, stay as they are.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn insert_planned<C: ConnectionTrait>(
    connection: &C,
    planned: &[DeliveryFacts],
) -> Result<u64, StoreError> {
    let by_id: BTreeMap<DeliveryId, &DeliveryFacts> = planned.iter().map(|facts| (facts.id, facts)).collect();
    let rows = by_id
        .into_values()
        .map(|facts| row(facts, &State::PENDING))
        .collect();
    rows::insert(connection, &head(), rows, "ON CONFLICT (id) DO NOTHING").await
}

/// Stores what the journal was told, whatever of it came before or is missing yet.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn raise<C: ConnectionTrait>(connection: &C, records: &[StateRecord]) -> Result<u64, StoreError> {
    // One statement may change a row once, so the highest record of each delivery speaks for all.
    let mut highest: BTreeMap<DeliveryId, &StateRecord> = BTreeMap::new();
    for record in records {
        let known = highest.entry(record.delivery.id).or_insert(record);
        if record.rank() > known.rank() {
            *known = record;
        }
    }
    let rows = highest
        .into_values()
        .map(|record| row(&record.delivery, &State::from(record)))
        .collect();
    rows::insert(connection, &head(), rows, RAISE).await
}

/// The deliveries with these ids, in no order; those that aren't stored are left out.
///
/// # Errors
/// When the database cannot be used now.
pub async fn load<C: ConnectionTrait>(
    connection: &C,
    ids: &[DeliveryId],
) -> Result<Vec<DeliveryRow>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    for some in ids.chunks(MAX_IDS) {
        let sql = format!(
            "SELECT {COLUMNS} FROM deliveries WHERE id IN ({})",
            rows::places(1, some.len())
        );
        let values = some.iter().map(rows::id).collect();
        found.extend(statement::rows::<DeliveryRow, _>(connection, &sql, values).await?);
    }
    Ok(found)
}

/// Which of the deliveries are stored, in whatever state.
///
/// # Errors
/// When the database cannot be used now.
pub async fn known<C: ConnectionTrait>(
    connection: &C,
    ids: &[DeliveryId],
) -> Result<HashSet<DeliveryId>, StoreError> {
    let asked: BTreeMap<String, DeliveryId> = ids.iter().map(|id| (id.to_string(), *id)).collect();
    let rows = asked.keys().map(|id| vec![rows::id(id)]).collect();
    let mut known = HashSet::with_capacity(asked.len());
    for (tuples, values) in rows::lookups(rows) {
        let sql = format!("SELECT id FROM deliveries WHERE id IN ({tuples})");
        for row in statement::all(connection, &sql, values).await? {
            known.extend(asked.get(&statement::column::<String>(&row, "id")?));
        }
    }
    Ok(known)
}

/// Notes of each delivery that `replay` sent it again, and as which one.
///
/// # Errors
/// When the database cannot be used now.
pub async fn mark_replayed<C: ConnectionTrait>(
    connection: &C,
    replay: ReplayId,
    pairs: &[(DeliveryId, DeliveryId)],
) -> Result<(), StoreError> {
    let sql = "UPDATE deliveries SET replayed_by = $1, replayed_as = $2 WHERE id = $3";
    for (original, again) in pairs {
        let values = vec![rows::id(replay), rows::id(again), rows::id(original)];
        statement::change(connection, sql, values).await?;
    }
    Ok(())
}

/// A lane's number as it is stored and shown.
pub fn lane_text(lane: u64) -> String {
    format!("{lane:016x}")
}

fn head() -> String {
    format!("deliveries ({})", reported!())
}

struct State<'a> {
    status: DeliveryStatus,
    generation: u32,
    epoch: u64,
    attempts: u32,
    next_at: Option<i64>,
    settled_at: Option<i64>,
    error: Option<(&'static str, &'a str)>,
}

impl State<'_> {
    const PENDING: State<'static> = State {
        status: DeliveryStatus::Pending,
        generation: 0,
        epoch: 0,
        attempts: 0,
        next_at: None,
        settled_at: None,
        error: None,
    };
}

impl<'a> From<&'a StateRecord> for State<'a> {
    fn from(record: &'a StateRecord) -> Self {
        Self {
            status: record.status,
            generation: record.generation,
            epoch: record.epoch,
            attempts: record.attempts,
            next_at: record.next_at,
            settled_at: record.settled_at,
            error: record
                .failure
                .as_ref()
                .map(|failure| (failure.code.as_str(), failure.detail.as_str())),
        }
    }
}

fn rank(status: DeliveryStatus) -> i64 {
    match DeliveryRank::from(status) {
        DeliveryRank::Pending => 0,
        DeliveryRank::Parked => 1,
        DeliveryRank::GivenUp => 2,
        DeliveryRank::Delivered => 3,
    }
}

fn row(facts: &DeliveryFacts, state: &State<'_>) -> Vec<Value> {
    let entity = facts.entity.as_ref();
    let lane = match &facts.lane_key {
        Some(key) => partition::lane_hash(facts.destination, key),
        None => partition::lane_hash(facts.destination, &facts.id.to_string()),
    };
    vec![
        rows::id(facts.id),
        rows::id(facts.workspace),
        rows::id(facts.event),
        rows::text(&facts.event_type),
        rows::id_or_null(facts.source),
        rows::id(facts.destination),
        rows::id_or_null(facts.fetcher),
        rows::id_or_null(facts.route),
        rows::text_or_null(entity.map(|entity| &entity.entity_type)),
        rows::text_or_null(entity.map(|entity| &entity.unique_id)),
        rows::text_or_null(entity.map(|entity| &entity.version)),
        rows::text_or_null(facts.lane_key.as_ref()),
        lane_text(lane).into(),
        rows::number(facts.origin.partition),
        rows::number(facts.origin.sequence),
        rows::number(facts.origin.index),
        facts.accepted_at.into(),
        rows::id_or_null(facts.replay),
        state.status.as_str().into(),
        rows::number(state.generation),
        rank(state.status).into(),
        rows::number(state.epoch),
        rows::number(state.attempts),
        state.next_at.into(),
        state.settled_at.into(),
        rows::text_or_null(state.error.map(|(code, _)| code)),
        rows::text_or_null(state.error.map(|(_, detail)| detail)),
    ]
}
