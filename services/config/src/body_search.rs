//! `q` of `GET /events` within a time range: events are also found by what is in their bodies.
//!
//! The events of the range are walked in the list's order, each body read from the log and searched: there is
//! no index of bodies. A request looks at so many events and bytes and then says where the next one goes on.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use actix_web::web;
use futures::{StreamExt, TryStreamExt, stream};
use hookrail_broker::LargeMemory;
use hookrail_domain::event::Event;
use hookrail_domain::ids::SourceId;
use hookrail_domain::payload::find_text::WantedText;
use hookrail_domain::source::SourceSpec;
use hookrail_store::IdPage;
use hookrail_store::events::EventRow;
use hookrail_store::queries::event_search::{EventList, those_about};
use hookrail_store::queries::events::{self, EventFilter};

use crate::error::ApiError;
use crate::found_event::{decoded, event_of_row, fetch_body, source_of};
use crate::state::ConfigState;

/// Events looked up together.
const STEP: u64 = 200;
/// Events of one request.
const EVENTS_MAX: usize = 5_000;
/// Bytes of bodies of one request.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of bodies in memory at a time, but for one body that is larger by itself.
const GROUP_BYTES: u64 = 4 * 1024 * 1024;
/// Bodies read from the log side by side.
const READS_AT_ONCE: usize = 16;

/// One page of the events that `filter` takes and that have to do with `text`, or have it in their bodies.
pub(crate) async fn search(
    state: &ConfigState,
    filter: &EventFilter,
    text: &str,
    page: &IdPage,
) -> Result<EventList, ApiError> {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let mut search = BodySearch::new(state, text);
    let mut step = page.clone();
    step.limit = STEP;
    let mut found = Vec::new();
    while search.goes_on() {
        let rows = events::list(state.store.reader(), filter, &step).await?;
        let is_last = (rows.len() as u64) < STEP;
        let about = those_about(state.store.reader(), text, &rows).await?;
        for group in groups(rows) {
            step.after = group.last().map(|row| row.id.clone()).or(step.after);
            found.extend(search.look_at(group, &about).await?);
            if found.len() > limit {
                return Ok(cut(found, limit));
            }
            if !search.goes_on() {
                break;
            }
        }
        if is_last && search.goes_on() {
            return Ok(cut(found, limit));
        }
    }
    Ok(EventList {
        rows: found,
        next: step.after,
    })
}

/// The first `limit`, and where the next page begins where there are more.
fn cut(mut rows: Vec<EventRow>, limit: usize) -> EventList {
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).map(|row| row.id.clone());
    EventList { rows, next }
}

/// Events whose bodies are searched together, in order.
fn groups(rows: Vec<EventRow>) -> Vec<Vec<EventRow>> {
    let (mut groups, mut bytes) = (Vec::<Vec<EventRow>>::new(), 0);
    for row in rows {
        bytes += size(&row);
        match groups.last_mut() {
            Some(group) if bytes <= GROUP_BYTES => group.push(row),
            _ => {
                bytes = size(&row);
                groups.push(vec![row]);
            }
        }
    }
    groups
}

fn size(row: &EventRow) -> u64 {
    row.size.unsigned_abs()
}

struct BodySearch<'a> {
    state: &'a ConfigState,
    wanted: Arc<WantedText>,
    /// What the sources say of their bodies; at most as many as events are looked at.
    sources: HashMap<SourceId, Option<Arc<SourceSpec>>>,
    events: usize,
    bytes: u64,
}

impl<'a> BodySearch<'a> {
    fn new(state: &'a ConfigState, text: &str) -> Self {
        Self {
            state,
            wanted: Arc::new(WantedText::new(text)),
            sources: HashMap::new(),
            events: 0,
            bytes: 0,
        }
    }

    fn goes_on(&self) -> bool {
        self.events < EVENTS_MAX && self.bytes < BYTES_MAX
    }

    /// Those of a group that are in `about`, or have the text in their bodies.
    async fn look_at(
        &mut self,
        group: Vec<EventRow>,
        about: &BTreeSet<String>,
    ) -> Result<Vec<EventRow>, ApiError> {
        let unread: Vec<&EventRow> = group.iter().filter(|row| !about.contains(&row.id)).collect();
        let bytes = unread.iter().map(|row| size(row)).sum();
        self.events += group.len();
        self.bytes += bytes;
        let memory = self.state.broker.large_memory(bytes).await;
        let bodies = self.read(&unread).await?;
        let with_text = self.having_text(bodies, memory).await?;
        let is_found = |row: &EventRow| about.contains(&row.id) || with_text.contains(&row.id);
        Ok(group.into_iter().filter(is_found).collect())
    }

    /// The events of these rows that the log still has, with their bodies.
    async fn read(&mut self, rows: &[&EventRow]) -> Result<Vec<(Event, Option<Arc<SourceSpec>>)>, ApiError> {
        let state = self.state;
        let read: Vec<Option<Event>> = stream::iter(rows.iter().map(|row| one(state, row)))
            .buffered(READS_AT_ONCE)
            .try_collect()
            .await?;
        let mut events = Vec::with_capacity(read.len());
        for event in read.into_iter().flatten() {
            let spec = self.source(&event).await?;
            events.push((event, spec));
        }
        Ok(events)
    }

    async fn source(&mut self, event: &Event) -> Result<Option<Arc<SourceSpec>>, ApiError> {
        let Some(source) = event.source else {
            return Ok(None);
        };
        if let Some(known) = self.sources.get(&source) {
            return Ok(known.clone());
        }
        let spec = source_of(self.state, event).await?.map(Arc::new);
        self.sources.insert(source, spec.clone());
        Ok(spec)
    }

    /// The ids of the events that have the text in their bodies, looked for off the threads that serve requests.
    async fn having_text(
        &self,
        events: Vec<(Event, Option<Arc<SourceSpec>>)>,
        memory: LargeMemory,
    ) -> Result<BTreeSet<String>, ApiError> {
        let wanted = Arc::clone(&self.wanted);
        let search = move || {
            let _memory = memory;
            let has_text = |(event, spec): &(Event, Option<Arc<SourceSpec>>)| {
                let body = event.body.bytes().map_or([].as_slice(), |bytes| bytes);
                wanted.is_in(body, || decoded(event, spec.as_deref()))
            };
            let found = events.iter().filter(|event| has_text(event));
            found.map(|(event, _)| event.id.to_string()).collect()
        };
        let found = web::block(search).await;
        found.map_err(|error| ApiError::Internal(error.into()))
    }
}

async fn one(state: &ConfigState, row: &EventRow) -> Result<Option<Event>, ApiError> {
    let Ok(id) = row.id.parse() else { return Ok(None) };
    let mut event = event_of_row(state, id, row).await?;
    if let Some(event) = &mut event {
        fetch_body(state, event).await?;
    }
    Ok(event)
}
