//! The one pass over a body: is it what it says to be, and what is the event's ordering key?

use actix_web::http::header::HeaderMap;
use hookrail_domain::ordering_key;
use hookrail_domain::payload::{self, PayloadError};
use hookrail_domain::source::{KeyPlace, SourceSpec};
use hookrail_domain::wellformed::{self, Checked};

use crate::intake::Order;

/// A request as far as its key can be in it.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: &'a [(String, String)],
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// Checks the body and finds the key, where events are ordered by one and it resolves.
///
/// # Errors
/// The body is not well-formed for its declared type.
pub(crate) fn check_body(
    spec: &SourceSpec,
    order: &Order,
    request: &Request<'_>,
) -> Result<Checked, PayloadError> {
    let place = match order {
        Order::Key(place) => Some(place),
        Order::None | Order::Source => None,
    };
    let path = place.and_then(|place| place.path.as_ref()?.plain());
    let mut checked = match payload::is_bodyless(request.method, request.body) {
        true => Checked::default(),
        false => wellformed::check(
            request.content_type,
            spec.body_format,
            request.body,
            &spec.force_list,
            path,
        )?,
    };
    checked.key = checked
        .key
        .or_else(|| place.and_then(|place| beside_body(place, request)));
    Ok(checked)
}

/// The key in a header or a query parameter; an empty one identifies nothing.
fn beside_body(place: &KeyPlace, request: &Request<'_>) -> Option<String> {
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
