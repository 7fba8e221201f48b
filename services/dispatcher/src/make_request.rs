//! Makes the HTTP request of an attempt from the delivery and its destination as it is now.

use bytes::Bytes;
use hookrail_domain::{
    Millis,
    delivery::Delivery,
    destination::{DestinationMethod, DestinationSpec},
    render::QueryError,
    sync::record,
};
use hookrail_outbound::{MadeRequest, RequestContent};

/// Why no request can be made; the delivery is then dead, `render`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// The body is neither in the message nor in the object store.
    #[error("the body is not kept any more")]
    NoBody,
    /// A sync's record can't be a query.
    #[error(transparent)]
    Record(#[from] QueryError),
    /// The definition gives no request.
    #[error(transparent)]
    Definition(#[from] hookrail_outbound::RequestError),
}

/// The request of attempt `number` at `now`, with `body`.
pub(crate) fn make_request(
    delivery: &Delivery,
    body: Option<Bytes>,
    spec: &DestinationSpec,
    number: u32,
    now: Millis,
) -> Result<MadeRequest, RequestError> {
    let mut body = body.ok_or(RequestError::NoBody)?;
    if delivery.is_sync_record() && spec.method == DestinationMethod::Get {
        body = record::query_form(&body)?.into();
    }
    let content = RequestContent {
        webhook_id: &delivery.id.to_string(),
        body,
        content_type: delivery.content_type.as_deref(),
        headers: own_headers(delivery, number),
    };
    Ok(hookrail_outbound::make_request(spec, content, now)?)
}

/// What is sent again has no place in its source's order, so no `hookrail-sequence`.
fn own_headers(delivery: &Delivery, number: u32) -> Vec<(String, String)> {
    let sequence = delivery.place_in_order().map(|place| place.origin.to_string());
    let mut headers = delivery.headers.clone();
    headers.extend(sequence.map(|origin| ("hookrail-sequence".to_owned(), origin)));
    let replay = delivery.replay.map(|replay| replay.to_string());
    headers.extend(replay.map(|replay| ("hookrail-replay".to_owned(), replay)));
    headers.push(("hookrail-attempt".to_owned(), number.to_string()));
    headers.push(("traceparent".to_owned(), delivery.traceparent.clone()));
    headers
}
