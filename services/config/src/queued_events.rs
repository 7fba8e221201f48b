//! `GET /events?status=received`: the events that are accepted and not processed. Those of paused sources are in
//! the store; the others only the log has, so they are listed from there, within a limit: what lies above each
//! partition's committed sequence.

use std::collections::{BTreeMap, HashSet};

use actix_web::HttpResponse;
use futures::{StreamExt, TryStreamExt, stream};
use hookrail_broker::QueuedEvent;
use hookrail_broker::codec::decode_event;
use hookrail_domain::ids::{EventId, WorkspaceId};
use hookrail_domain::json::{Json, Members};
use hookrail_domain::snapshot::Snapshot;
use hookrail_store::queries::events::EventFilter;
use hookrail_store::{events, partition_progress, queries};

use crate::error::ApiError;
use crate::events::{queued, summary};
use crate::paging::{PageQuery, page};
use crate::parameters::wrong;
use crate::state::ConfigState;

/// Queued events that are looked at for one page.
const LOOKED_AT_MAX: u64 = 10_000;
/// Sources that a look is limited to; of a workspace with more all events are looked at.
const SOURCES_MAX: usize = 256;
/// Events read from the log side by side.
const READS_AT_ONCE: usize = 8;

/// Where a queued event lies.
type Place = (u32, u64);

/// A page of the queued events that are wanted.
pub(crate) async fn list(
    state: &ConfigState,
    workspace: WorkspaceId,
    filter: &EventFilter,
    query: &PageQuery,
) -> Result<HttpResponse, ApiError> {
    if filter.entity.is_some() {
        return Err(wrong(
            "entity finds processed events: what is queued has not been read yet",
        ));
    }
    let snapshot = state.snapshots.current();
    let wanted = Wanted::new(&snapshot, workspace, filter);
    let found = look(state, &wanted).await?;
    // The log first: what is held meanwhile is found in the store then.
    let mut rows = read(state, &ordered(found, query), query).await?;
    let held = queries::events::list(state.store.reader(), filter, &query.by_id()).await?;
    rows.extend(held.iter().map(|row| (row.id.clone(), summary(row))));
    let rows = in_order(rows, query);
    Ok(page(
        query,
        rows,
        |(id, _)| id.clone(),
        |(_, members)| Json::Object(members.clone()),
    ))
}

/// Which queued events are wanted.
struct Wanted {
    /// The tokens of their sources, and of the workspace for posted ones.
    tokens: HashSet<String>,
    /// The lowest id, and the one that all are below.
    ids: (Option<String>, Option<String>),
    /// Whether a source is named.
    is_one_source: bool,
}

impl Wanted {
    fn new(snapshot: &Snapshot, workspace: WorkspaceId, filter: &EventFilter) -> Self {
        let of_workspace = snapshot
            .known_sources()
            .filter(|source| source.workspace == workspace);
        let mut tokens: HashSet<String> = of_workspace.map(|source| source.id.to_string()).collect();
        match &filter.source {
            Some(source) => tokens.retain(|token| token == source),
            None => drop(tokens.insert(workspace.to_string())),
        }
        Self {
            tokens,
            ids: filter.span.ids::<EventId>(),
            is_one_source: filter.source.is_some(),
        }
    }

    fn takes(&self, event: &QueuedEvent) -> bool {
        let (first, end) = &self.ids;
        self.tokens.contains(&event.source)
            && first.as_ref().is_none_or(|first| event.event_id >= *first)
            && end.as_ref().is_none_or(|end| event.event_id < *end)
    }

    /// The tokens that the broker is asked for; none = all.
    fn asked_for(&self) -> Vec<String> {
        match self.tokens.len() <= SOURCES_MAX {
            true => self.tokens.iter().cloned().collect(),
            false => Vec::new(),
        }
    }

    fn too_many(&self, queued: u64) -> ApiError {
        let hint = match self.is_one_source {
            true => "ask again when fewer are",
            false => "name one source with ?source=",
        };
        let detail = format!("{queued} events are queued, and at most {LOOKED_AT_MAX} can be listed: {hint}");
        ApiError::conflict("too-many-queued", detail)
    }
}

/// All queued events that are wanted, by id.
async fn look(state: &ConfigState, wanted: &Wanted) -> Result<BTreeMap<String, Place>, ApiError> {
    let committed = partition_progress::all_committed(state.store.reader()).await?;
    let committed: BTreeMap<u32, u64> = committed.into_iter().collect();
    let (mut found, mut seen) = (BTreeMap::new(), 0);
    let sources = wanted.asked_for();
    if wanted.tokens.is_empty() {
        return Ok(found);
    }
    for partition in 0..state.broker.settings().partitions {
        let after = committed.get(&partition).copied().unwrap_or_default();
        if state.broker.raw_state(partition).await?.last_sequence <= after {
            continue;
        }
        // Beyond the limit the rest is counted only.
        let left = LOOKED_AT_MAX.saturating_sub(seen);
        let queued = state
            .broker
            .queued_events(partition, &sources, after, left)
            .await?;
        match queued {
            Ok(events) => {
                seen += events.len() as u64;
                let places = events.into_iter().filter(|event| wanted.takes(event));
                found.extend(places.map(|event| (event.event_id, (partition, event.sequence))));
            }
            Err(number) => seen += number,
        }
    }
    match seen > LOOKED_AT_MAX {
        true => Err(wanted.too_many(seen)),
        false => Ok(found),
    }
}

/// What is behind the page before, in the order that is wanted.
fn ordered(found: BTreeMap<String, Place>, query: &PageQuery) -> Vec<(String, Place)> {
    let is_behind = |id: &String| match (&query.after, query.newest_first) {
        (None, _) => true,
        (Some(after), true) => id < after,
        (Some(after), false) => id > after,
    };
    let mut events: Vec<(String, Place)> = found.into_iter().filter(|(id, _)| is_behind(id)).collect();
    if query.newest_first {
        events.reverse();
    }
    events
}

/// Each once, in the order that is wanted, as many as the page takes and one more.
fn in_order(mut rows: Vec<(String, Members)>, query: &PageQuery) -> Vec<(String, Members)> {
    rows.sort_by(|(one, _), (other, _)| match query.newest_first {
        true => other.cmp(one),
        false => one.cmp(other),
    });
    rows.dedup_by(|(one, _), (other, _)| one == other);
    rows.truncate(usize::try_from(query.limit + 1).unwrap_or(usize::MAX));
    rows
}

/// Reads as many as the page takes, and one more where there is one. What was processed or held meanwhile is
/// left out.
async fn read(
    state: &ConfigState,
    places: &[(String, Place)],
    query: &PageQuery,
) -> Result<Vec<(String, Members)>, ApiError> {
    let most = usize::try_from(query.limit + 1).unwrap_or(usize::MAX);
    let (mut rows, mut left) = (Vec::new(), places);
    while rows.len() < most && !left.is_empty() {
        let (some, rest) = left.split_at(left.len().min(most - rows.len()));
        left = rest;
        let ids: Vec<EventId> = some.iter().filter_map(|(id, _)| id.parse().ok()).collect();
        let known = events::load(state.store.reader(), &ids).await?;
        let known: HashSet<String> = known.into_iter().map(|row| row.id).collect();
        let queued = some.iter().filter(|(id, _)| !known.contains(id));
        let read: Vec<Option<(String, Members)>> = stream::iter(queued)
            .map(|(id, place)| async move {
                Ok::<_, ApiError>(one(state, *place).await?.map(|event| (id.clone(), event)))
            })
            .buffered(READS_AT_ONCE)
            .try_collect()
            .await?;
        rows.extend(read.into_iter().flatten());
    }
    Ok(rows)
}

async fn one(state: &ConfigState, (partition, sequence): Place) -> Result<Option<Members>, ApiError> {
    let Some(message) = state.broker.raw_get(partition, sequence).await? else {
        return Ok(None);
    };
    match decode_event(&message.payload) {
        Ok(event) => Ok(Some(queued(&event, "received"))),
        Err(error) => {
            tracing::warn!(partition, sequence, %error, "a queued event can't be read");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(after: Option<&str>, newest_first: bool) -> Vec<String> {
        let found = ["evt_1", "evt_2", "evt_3"].map(|id| (id.to_owned(), (0, 1)));
        let query = PageQuery {
            limit: 2,
            after: after.map(str::to_owned),
            newest_first,
        };
        let ordered = ordered(found.into(), &query);
        ordered.into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn a_page_goes_on_behind_the_one_before() {
        assert_eq!(ids(None, true), ["evt_3", "evt_2", "evt_1"]);
        assert_eq!(ids(Some("evt_2"), true), ["evt_1"]);
        assert_eq!(ids(Some("evt_2"), false), ["evt_3"]);
    }

    #[test]
    fn what_is_held_and_what_is_queued_are_one_list() {
        let check = |newest_first, expected: &[&str]| {
            let rows = ["evt_4", "evt_2", "evt_3", "evt_1", "evt_3"];
            let rows = rows.map(|id| (id.to_owned(), Members::new()));
            let query = PageQuery {
                limit: 2,
                after: None,
                newest_first,
            };
            let listed = in_order(rows.into(), &query);
            let ids: Vec<&str> = listed.iter().map(|(id, _)| id.as_str()).collect();
            assert_eq!(ids, expected, "one more than the page takes");
        };
        check(true, &["evt_4", "evt_3", "evt_2"]);
        check(false, &["evt_1", "evt_2", "evt_3"]);
    }
}
