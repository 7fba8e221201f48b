//! Fetchers.

use hookrail_domain::fetcher::{Fetcher, FetcherSpec};
use hookrail_domain::ids::FetcherId;
use hookrail_proto::v1;

use super::CodecError;
use super::destination::{auth, from_auth, from_rate_limit, from_retry, rate_limit, retry};
use super::source::{from_unique_id, is_composite};
use super::words::{from_word, parse, parse_option, text_option, word};

pub(super) fn to_message(fetcher: &Fetcher) -> v1::FetcherDefinition {
    let spec = &fetcher.spec;
    v1::FetcherDefinition {
        workspace: fetcher.workspace.to_string(),
        name: spec.name.clone(),
        labels: spec.labels.clone(),
        entity_type: spec.entity_type.clone(),
        url: spec.url.clone(),
        method: word(&spec.method),
        headers: spec.headers.clone(),
        body: spec.body.clone(),
        auth: Some(auth(&spec.auth)),
        entity_path: text_option(spec.entity_path.as_ref()),
        unique_id: spec.unique_id.paths().iter().map(ToString::to_string).collect(),
        composite_id: is_composite(&spec.unique_id),
        timeout_ms: spec.timeout_ms,
        retry: Some(retry(&spec.retry)),
        rate_limit: spec.rate_limit.as_ref().map(rate_limit),
        max_in_flight: spec.max_in_flight,
        on_404: word(&spec.on_404),
    }
}

pub(super) fn from_message(id: FetcherId, message: v1::FetcherDefinition) -> Result<Fetcher, CodecError> {
    Ok(Fetcher {
        id,
        workspace: parse("fetcher.workspace", &message.workspace)?,
        spec: FetcherSpec {
            name: message.name,
            labels: message.labels,
            entity_type: message.entity_type,
            url: message.url,
            method: from_word("fetcher.method", &message.method)?,
            headers: message.headers,
            body: message.body,
            auth: from_auth(message.auth)?,
            entity_path: parse_option("fetcher.entity_path", message.entity_path.as_ref())?,
            unique_id: from_unique_id(&message.unique_id, message.composite_id)?,
            timeout_ms: message.timeout_ms,
            retry: from_retry(message.retry)?,
            rate_limit: message.rate_limit.map(from_rate_limit),
            max_in_flight: message.max_in_flight,
            on_404: from_word("fetcher.on_404", &message.on_404)?,
        },
    })
}
