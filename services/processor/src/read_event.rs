//! Reading one event: decode its body, ask its source's filter, extract its entities. Pure, and on its
//! own, so that it can be done before anything is loaded, and off the asynchronous threads.

use hookrail_domain::{
    entity::{self, EntityDeletion, Extraction, Warning},
    event::Event,
    fetcher::answer::FetchAnswer,
    filter::FilterInput,
    json::Json,
    jsonpath::Budget,
    payload::{self, BodyFormat, Payload, PayloadError},
    snapshot::Snapshot,
    source::{PayloadInput, SourceSpec},
};

use crate::read_answer::{self, Answered};

/// The code of an event on which its source's filter costs too much.
pub(crate) const FILTER_OVER_BUDGET: &str = "filter.over_budget";

/// What an event says.
#[derive(Debug, Clone)]
pub enum Reading {
    /// It can't be decoded, or has no source any more.
    Failed(Failure),
    /// It is to be held, and was not read.
    Held,
    /// Its source's filter leaves it out.
    Filtered,
    /// It was posted: its data.
    Posted(Json),
    /// A person wants an entity deleted.
    Deletion(EntityDeletion),
    /// Its source takes it.
    Accepted {
        /// The payload; text is a string, bytes are null.
        payload: Json,
        /// What the entity rules gave; `None` = the source has none.
        extraction: Option<Extraction>,
    },
    /// It answers a fetch.
    Answered(Answered),
}

impl Reading {
    /// How many entities it gave.
    pub(crate) fn entities(&self) -> usize {
        match self {
            Self::Accepted {
                extraction: Some(extraction),
                ..
            } => extraction.entities.len(),
            Self::Answered(_) | Self::Deletion(_) => 1,
            _ => 0,
        }
    }
}

/// Why an event failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stable code.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

impl Failure {
    /// A failure.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }

    /// A rule without which there is no entity did not work.
    pub fn of_warning(warning: &Warning) -> Self {
        Self::new(warning.code, format!("{}: {}", warning.field, warning.path))
    }
}

/// Reads an event under the definitions in force. An event whose source is not among them belongs to
/// one that was deleted: whoever reads it waits for the event's revision first.
pub fn read(snapshot: &Snapshot, event: &Event) -> Reading {
    let Some(bytes) = event.body.bytes() else {
        return Reading::Failed(Failure::new(
            "payload.unavailable",
            "the body is not in the event's message",
        ));
    };
    if EntityDeletion::is_in(event) {
        return match EntityDeletion::parse(bytes) {
            Some(wanted) => Reading::Deletion(wanted),
            None => Reading::Failed(Failure::new("payload.malformed", "it names no entity")),
        };
    }
    let Some(source) = event.source else {
        return read_posted(event, bytes);
    };
    let Some(source) = snapshot.source(source) else {
        return Reading::Failed(Failure::new(
            "source.deleted",
            format!("source {source} was deleted"),
        ));
    };
    if let Some(answer) = FetchAnswer::of(event) {
        return read_answer::read(snapshot, source, answer, event, bytes);
    }
    let spec = &source.spec;
    let payload = match decode(spec, event, bytes) {
        Ok(payload) => payload,
        Err(error) => return Reading::Failed(Failure::new("payload.malformed", error.to_string())),
    };
    let input = FilterInput {
        payload: payload.as_json(),
        headers: &event.headers,
        query: &event.query,
        method: &event.method,
    };
    let accepted = spec
        .filter
        .as_ref()
        .map(|filter| filter.accepts_within(&input, &mut Budget::default()));
    match accepted {
        None | Some(Ok(true)) => {}
        Some(Ok(false)) => return Reading::Filtered,
        // Nobody knows whether it was wanted: it can be processed again when the filter was mended.
        Some(Err(error)) => return Reading::Failed(Failure::new(FILTER_OVER_BUDGET, error.to_string())),
    }
    let extraction = spec
        .entity
        .as_ref()
        .map(|rules| entity::extract_from(rules, &input));
    Reading::Accepted {
        payload: payload.into_json(),
        extraction,
    }
}

fn decode(spec: &SourceSpec, event: &Event, bytes: &[u8]) -> Result<Payload, PayloadError> {
    spec.payload(PayloadInput {
        method: &event.method,
        query: &event.query,
        content_type: event.content_type.as_deref(),
        body: bytes,
    })
}

/// What an event says, whatever its source's filter says of it; `None` where it can't be decoded.
pub(crate) fn data_of(snapshot: &Snapshot, event: &Event) -> Option<Json> {
    let bytes = event.body.bytes()?;
    if EntityDeletion::is_in(event) {
        return Json::parse(bytes).ok();
    }
    let Some(source) = event.source else {
        return match read_posted(event, bytes) {
            Reading::Posted(data) => Some(data),
            _ => None,
        };
    };
    let payload = decode(&snapshot.source(source)?.spec, event, bytes).ok()?;
    Some(payload.into_json())
}

fn read_posted(event: &Event, bytes: &[u8]) -> Reading {
    match payload::decode(event.content_type.as_deref(), BodyFormat::Json, bytes, &[]) {
        Ok(payload) => Reading::Posted(payload.into_json()),
        Err(error) => Reading::Failed(Failure::new("payload.malformed", error.to_string())),
    }
}
