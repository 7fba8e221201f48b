//! Reading the answer to a fetch: the entity that was asked for, by the fetcher's rules as they are now.

use std::sync::Arc;

use hookrail_domain::{
    entity::{Extraction, Warning},
    event::Event,
    fetcher::{
        Fetcher,
        answer::{self, FetchAnswer},
    },
    filter::FilterInput,
    payload::{self, BodyFormat},
    snapshot::Snapshot,
    source::Source,
};

use crate::read_event::{Failure, Reading};

/// The code of an answer that is not JSON.
pub(crate) const MALFORMED: &str = "fetcher.malformed";

/// What an answer says.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Who asked, as it is defined now.
    pub fetcher: Arc<Fetcher>,
    /// What was asked.
    pub answer: FetchAnswer,
    /// What the answer holds of it; `None` = there is no such entity.
    pub extraction: Option<Extraction>,
}

/// Reads an answer, whatever its content type says: as JSON.
pub(crate) fn read(
    snapshot: &Snapshot,
    source: &Source,
    answer: FetchAnswer,
    event: &Event,
    bytes: &[u8],
) -> Reading {
    let Some(fetcher) = snapshot.fetcher(answer.fetcher).cloned() else {
        return Reading::Failed(Failure::new(
            "fetcher.deleted",
            format!("fetcher {} was deleted", answer.fetcher),
        ));
    };
    let missing = answer::is_missing(answer.status);
    let extraction = (!missing).then(|| extraction(&fetcher, source, &answer, event, bytes));
    Reading::Answered(Answered {
        fetcher,
        answer,
        extraction,
    })
}

fn extraction(
    fetcher: &Fetcher,
    source: &Source,
    answer: &FetchAnswer,
    event: &Event,
    bytes: &[u8],
) -> Extraction {
    let payload = match payload::decode(None, BodyFormat::Json, bytes, &[]) {
        Ok(payload) => payload,
        Err(error) => return malformed(&error.to_string()),
    };
    let rules = answer::rules(&fetcher.spec, source.spec.entity.as_ref());
    let input = FilterInput {
        payload: payload.as_json(),
        headers: &event.headers,
        query: &event.query,
        method: &event.method,
    };
    answer::extract(&rules, &input, &answer.unique_id)
}

fn malformed(error: &str) -> Extraction {
    Extraction {
        entities: Vec::new(),
        warnings: vec![Warning {
            code: MALFORMED,
            field: "fetcher".to_owned(),
            path: error.to_owned(),
        }],
    }
}
