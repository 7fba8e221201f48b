//! The one pass over a body: is it what it says to be, and what are the event's ordering key and its
//! sender's id?

use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::web::Bytes;
use hookrail_domain::ordering_key;
use hookrail_domain::payload::{self, PayloadError};
use hookrail_domain::source::{KeyPlace, Source};
use hookrail_domain::wellformed::{self, Checked, KeyPaths};

use crate::intake::{Intake, Order};

/// Bodies above this are read through on a thread of their own kind, not on the worker's.
const INLINE_MAX_BYTES: usize = 256 * 1024;

/// A request as far as its keys can be in it.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: &'a [(String, String)],
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a Bytes,
}

/// Checks the body and finds the keys, where events have some and they resolve. The dedupe key is
/// that of the body only.
///
/// # Errors
/// The body is not well-formed for its declared type.
pub(crate) async fn check_body(intake: &Intake, request: &Request<'_>) -> Result<Checked, PayloadError> {
    let source = &intake.source;
    let mut checked = if payload::is_bodyless(request.method, request.body) {
        let payload = source.spec.bodyless_payload(request.query);
        wellformed::keys_of(&payload, &intake.paths)
    } else if request.body.len() <= INLINE_MAX_BYTES {
        check(source, request.content_type, request.body, &intake.paths)?
    } else {
        check_elsewhere(source, request, intake.paths.clone()).await?
    };
    if let (None, Order::Key(place)) = (&checked.key, &intake.order) {
        checked.key = beside_body(place, request);
    }
    Ok(checked)
}

fn check(
    source: &Source,
    content_type: Option<&str>,
    body: &[u8],
    paths: &KeyPaths,
) -> Result<Checked, PayloadError> {
    let spec = &source.spec;
    wellformed::check(content_type, spec.body_format, body, &spec.force_list, paths)
}

async fn check_elsewhere(
    source: &Arc<Source>,
    request: &Request<'_>,
    paths: KeyPaths,
) -> Result<Checked, PayloadError> {
    let (source, body) = (Arc::clone(source), request.body.clone());
    let content_type = request.content_type.map(str::to_owned);
    let checking = actix_web::web::block(move || check(&source, content_type.as_deref(), &body, &paths));
    checking.await.unwrap_or(Err(PayloadError::Unchecked))
}

/// The key in a header or a query parameter; an empty one identifies nothing.
pub(crate) fn beside_body(place: &KeyPlace, request: &Request<'_>) -> Option<String> {
    let in_header = || {
        let value = request.headers.get(place.header.as_deref()?)?;
        value.to_str().ok().map(str::to_owned)
    };
    let in_query = || {
        let name = place.query.as_deref()?;
        let found = request.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    in_header()
        .or_else(in_query)
        .filter(|key| !key.is_empty())
        .map(ordering_key::bounded)
}
