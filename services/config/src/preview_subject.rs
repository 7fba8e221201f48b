//! What a preview looks at: an event of the source, or a payload that somebody pasted.

use hookrail_domain::filter::FilterInput;
use hookrail_domain::json::Json;
use hookrail_domain::payload::Payload;
use hookrail_domain::source::{PayloadInput, SourceSpec};
use hookrail_store::IdPage;
use hookrail_store::queries::{self, events::EventFilter};

use crate::authenticated::Authenticated;
use crate::definition::Stored;
use crate::error::ApiError;
use crate::found_event::FoundEvent;
use crate::preview_request::PreviewRequest;
use crate::state::ConfigState;

/// Other payloads of the source that suggestions are compared with.
const OTHER_PAYLOADS: u64 = 8;
/// The largest of them, bytes.
const OTHER_BYTES: i64 = 128 * 1024;

/// What is looked at.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) event_id: Option<String>,
    pub(crate) payload: Payload,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) method: String,
}

impl Subject {
    /// What a filter and the entity rules see: what the processing would show them.
    pub(crate) fn input(&self) -> FilterInput<'_> {
        FilterInput {
            payload: self.payload.as_json(),
            headers: &self.headers,
            query: &self.query,
            method: &self.method,
        }
    }
}

/// Finds what is to be looked at.
pub(crate) async fn subject(
    state: &ConfigState,
    sender: &Authenticated,
    source: &Stored<SourceSpec>,
    request: PreviewRequest,
) -> Result<Subject, ApiError> {
    let given = [
        request.event_id.is_some(),
        request.payload.is_some(),
        request.payload_text.is_some(),
    ];
    if given.into_iter().filter(|given| *given).count() > 1 {
        let detail = "goes without the others: event_id, payload and payload_text";
        return Err(ApiError::field("/payload", detail));
    }
    match (request.payload.clone(), &request.payload_text) {
        (Some(payload), _) => Ok(pasted(request, Payload::Json(payload))),
        (None, Some(text)) => {
            let payload = read_text(&source.spec, &request, text)?;
            Ok(pasted(request, payload))
        }
        (None, None) => of_event(state, sender, source, request.event_id).await,
    }
}

fn pasted(request: PreviewRequest, payload: Payload) -> Subject {
    let content_type = request
        .content_type
        .map(|value| ("content-type".to_owned(), value));
    Subject {
        event_id: None,
        payload,
        headers: content_type.into_iter().chain(request.headers).collect(),
        query: request.query.into_iter().collect(),
        method: "POST".to_owned(),
    }
}

fn read_text(spec: &SourceSpec, request: &PreviewRequest, text: &str) -> Result<Payload, ApiError> {
    let spec = SourceSpec {
        body_format: request.body_format.unwrap_or(spec.body_format),
        force_list: spec.force_list.clone(),
        ..SourceSpec::default()
    };
    let payload = spec.payload(PayloadInput {
        method: "POST",
        query: &[],
        content_type: request.content_type.as_deref(),
        body: text.as_bytes(),
    });
    payload.map_err(|error| ApiError::field("/payload_text", error.to_string()))
}

async fn of_event(
    state: &ConfigState,
    sender: &Authenticated,
    source: &Stored<SourceSpec>,
    event_id: Option<String>,
) -> Result<Subject, ApiError> {
    let id = source.id()?;
    let found = match &event_id {
        Some(event_id) => Some(FoundEvent::find(state, sender.workspace.id, event_id).await?),
        None => FoundEvent::newest_of(state, sender.workspace.id, id).await?,
    };
    let event = found.and_then(|found| found.event);
    let event = event.filter(|event| event.source == Some(id) && event.body.bytes().is_some());
    let Some(event) = event else {
        let (pointer, detail) = match event_id {
            Some(_) => (
                "/event_id",
                "is no event of this source whose payload is still kept",
            ),
            None => (
                "/payload",
                "is needed: the source has no event whose payload is kept",
            ),
        };
        return Err(ApiError::field(pointer, detail));
    };
    let payload = source.spec.payload(PayloadInput {
        method: &event.method,
        query: &event.query,
        content_type: event.content_type.as_deref(),
        body: event.body.bytes().map_or(&[], |bytes| &bytes[..]),
    });
    let payload = payload.map_err(|error| {
        let pointer = if event_id.is_some() {
            "/event_id"
        } else {
            "/payload"
        };
        ApiError::field(pointer, format!("the event can't be decoded: {error}"))
    })?;
    Ok(Subject {
        event_id: Some(event.id.to_string()),
        payload,
        headers: event.headers,
        query: event.query,
        method: event.method,
    })
}

/// The source's last payloads, without the one that is looked at and without large ones.
pub(crate) async fn other_payloads(
    state: &ConfigState,
    sender: &Authenticated,
    source: &Stored<SourceSpec>,
    looked_at: Option<&str>,
) -> Result<Vec<Json>, ApiError> {
    let filter = EventFilter {
        workspace: sender.workspace_id(),
        source: Some(source.row.id.clone()),
        ..EventFilter::default()
    };
    let page = IdPage {
        limit: OTHER_PAYLOADS + 1,
        after: None,
        newest_first: true,
    };
    let rows = queries::events::list(state.store.reader(), &filter, &page).await?;
    let mut payloads = Vec::new();
    for row in rows {
        if row.size > OTHER_BYTES || looked_at == Some(row.id.as_str()) {
            continue;
        }
        let found = FoundEvent::find(state, sender.workspace.id, &row.id).await?;
        let payload = found.event.as_ref().and_then(|event| {
            let input = PayloadInput {
                method: &event.method,
                query: &event.query,
                content_type: event.content_type.as_deref(),
                body: event.body.bytes()?,
            };
            source.spec.payload(input).ok()
        });
        payloads.extend(payload.map(Payload::into_json));
    }
    Ok(payloads)
}
