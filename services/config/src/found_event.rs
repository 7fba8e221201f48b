//! One event, put together from the store, which knows what became of it, and the log, which has its
//! bytes. An event that only the log has is not processed yet.

use actix_web::web;
use hookrail_broker::codec::decode_event;
use hookrail_broker::{LargeMemory, RawMessage};
use hookrail_domain::event::{Body, Event, EventStatus};
use hookrail_domain::fetcher::answer::FetchAnswer;
use hookrail_domain::ids::{EventId, SourceId, WorkspaceId};
use hookrail_domain::json::Json;
use hookrail_domain::payload::{BodyFormat, Payload};
use hookrail_domain::source::{PayloadInput, SourceSpec};
use hookrail_store::events::EventRow;
use hookrail_store::{held_events, queries};

use crate::definition::Stored;
use crate::error::ApiError;
use crate::state::ConfigState;

/// Bodies from this size on are decoded off the threads that serve requests, bytes.
const OFFLOAD_BYTES: u64 = 64 * 1024;

/// An event as far as it is known.
#[derive(Debug)]
pub(crate) struct FoundEvent {
    /// Its id.
    pub(crate) id: EventId,
    /// What became of it; none while it is queued, `received` while it is held.
    pub(crate) row: Option<EventRow>,
    /// The whole event; none once its bytes are gone.
    pub(crate) event: Option<Event>,
    /// What a large body has of the memory for them.
    _memory: Option<LargeMemory>,
}

impl FoundEvent {
    /// The workspace's event with this id.
    pub(crate) async fn find(
        state: &ConfigState,
        workspace: WorkspaceId,
        id: &str,
    ) -> Result<Self, ApiError> {
        let id: EventId = id.parse().map_err(|_| ApiError::NotFound("event"))?;
        let row = queries::events::find(state.store.reader(), &workspace.to_string(), id).await?;
        match row {
            Some(row) => {
                let event = event_of_row(state, id, &row).await?;
                Self::whole(state, id, Some(row), event).await
            }
            None => {
                let event = read(id, queued(state, id).await?)?;
                let event = event.filter(|event| event.workspace == workspace);
                let event = event.ok_or(ApiError::NotFound("event"))?;
                Self::whole(state, id, None, Some(event)).await
            }
        }
    }

    async fn whole(
        state: &ConfigState,
        id: EventId,
        row: Option<EventRow>,
        event: Option<Event>,
    ) -> Result<Self, ApiError> {
        let found = Self {
            id,
            row,
            event,
            _memory: None,
        };
        found.with_body(state).await
    }

    /// Fetches the body where it is in the object store. One that is gone from there stays a reference.
    async fn with_body(mut self, state: &ConfigState) -> Result<Self, ApiError> {
        let Some(event) = &mut self.event else {
            return Ok(self);
        };
        if let Body::Object { size, .. } = event.body {
            self._memory = Some(state.broker.large_memory(size).await);
            fetch_body(state, event).await?;
        }
        Ok(self)
    }

    /// Whether its bytes are gone.
    pub(crate) fn is_expired(&self) -> bool {
        self.event
            .as_ref()
            .is_none_or(|event| event.body.bytes().is_none())
    }

    /// The newest processed event of a source.
    pub(crate) async fn newest_of(
        state: &ConfigState,
        workspace: WorkspaceId,
        source: SourceId,
    ) -> Result<Option<Self>, ApiError> {
        match queries::events::newest_of_source(state.store.reader(), source).await? {
            Some(row) => Self::find(state, workspace, &row.id).await.map(Some),
            None => Ok(None),
        }
    }

    /// What became of it.
    pub(crate) fn status(&self) -> &str {
        self.row
            .as_ref()
            .map_or(EventStatus::Received.as_str(), |row| &row.status)
    }

    /// Its decoded body: null for bytes, and for a body that is not what it says.
    pub(crate) async fn payload(&self, state: &ConfigState) -> Result<Json, ApiError> {
        let Some(event) = &self.event else {
            return Ok(Json::Null);
        };
        let spec = source_of(state, event).await?;
        if event.body.size() < OFFLOAD_BYTES {
            return Ok(decoded(event, spec.as_ref()).unwrap_or_default());
        }
        let event = event.clone();
        let payload = web::block(move || decoded(&event, spec.as_ref()).unwrap_or_default()).await;
        payload.map_err(|error| ApiError::Internal(error.into()))
    }
}

/// An event's decoded body, by what its source says of bodies; `None` where it can't be decoded.
pub(crate) fn decoded(event: &Event, spec: Option<&SourceSpec>) -> Option<Json> {
    let input = PayloadInput {
        method: &event.method,
        query: &event.query,
        content_type: event.content_type.as_deref(),
        body: event.body.bytes()?,
    };
    let payload = match spec {
        // What a fetcher is answered is JSON, whatever its source's senders send.
        _ if FetchAnswer::of(event).is_some() => SourceSpec {
            body_format: BodyFormat::Json,
            ..SourceSpec::default()
        }
        .payload(input),
        Some(spec) => spec.payload(input),
        None => SourceSpec::default().payload(input),
    };
    payload.ok().map(Payload::into_json)
}

/// The event of a row as it is held, or lies in the log; none once it is gone from there. A large body is a reference.
pub(crate) async fn event_of_row(
    state: &ConfigState,
    id: EventId,
    row: &EventRow,
) -> Result<Option<Event>, ApiError> {
    let event = match held(state, id, row).await? {
        Some(event) => Some(event),
        None => read(id, in_place(state, row).await?)?,
    };
    Ok(event.filter(|event| event.workspace.to_string() == row.workspace))
}

/// Puts a large body in the place of its reference, for which the caller has memory. One that is gone stays one.
pub(crate) async fn fetch_body(state: &ConfigState, event: &mut Event) -> Result<(), ApiError> {
    let Body::Object { name, size } = event.body.clone() else {
        return Ok(());
    };
    if let Some(bytes) = state.broker.get_object(&name, size).await? {
        event.body = Body::inline(&bytes[..]);
    }
    Ok(())
}

/// The event of a message. What lies at its place now may be another one where the log was restored from a copy.
fn read(id: EventId, message: Option<RawMessage>) -> Result<Option<Event>, ApiError> {
    let event = message.map(|message| decode_event(&message.payload)).transpose();
    let event =
        event.map_err(|error| ApiError::Internal(anyhow::Error::new(error).context(id.to_string())))?;
    Ok(event.filter(|event| event.id == id))
}

/// What an event's source says, where there still is one.
pub(crate) async fn source_of(state: &ConfigState, event: &Event) -> Result<Option<SourceSpec>, ApiError> {
    let Some(source) = event.source else {
        return Ok(None);
    };
    let (workspace, source) = (event.workspace.to_string(), source.to_string());
    let found = Stored::<SourceSpec>::look_up(state.store.reader(), &workspace, &source).await?;
    Ok(found.map(|stored| stored.spec))
}

/// The event of a row while it is held: the log needs it no more then.
async fn held(state: &ConfigState, id: EventId, row: &EventRow) -> Result<Option<Event>, ApiError> {
    let source = row.source.as_ref().and_then(|source| source.parse().ok());
    let Some(source) = source.filter(|_| row.status == EventStatus::Received.as_str()) else {
        return Ok(None);
    };
    let partition = u32::try_from(row.partition).unwrap_or(u32::MAX);
    let sequence = row.sequence.unsigned_abs();
    let found = held_events::find(state.store.reader(), partition, source, sequence).await?;
    let event = found.map(|found| decode_event(&found.message)).transpose();
    let event =
        event.map_err(|error| ApiError::Internal(anyhow::Error::new(error).context(id.to_string())))?;
    Ok(event.filter(|event| event.id == id))
}

async fn in_place(state: &ConfigState, row: &EventRow) -> Result<Option<RawMessage>, ApiError> {
    let partition = u32::try_from(row.partition).unwrap_or(u32::MAX);
    Ok(state
        .broker
        .raw_get(partition, row.sequence.unsigned_abs())
        .await?)
}

async fn queued(state: &ConfigState, id: EventId) -> Result<Option<RawMessage>, ApiError> {
    if id.partition() >= state.broker.settings().partitions {
        return Ok(None);
    }
    Ok(state
        .broker
        .find_event(id.partition(), &id.to_string(), id.time())
        .await?)
}
