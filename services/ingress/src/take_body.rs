//! Taking a request's body in: read within the source's limit and within what memory there is, its
//! content encodings undone.

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::web::Bytes;
use hookrail_domain::payload::is_bodyless;

use crate::byte_budget::Reserved;
use crate::content_encoding::{Codings, DecodeError, decode};
use crate::intake::Intake;
use crate::read_body::{BodyError, read_body};
use crate::refusal::Refusal;
use crate::state::Ingress;

/// A decoded body, and the memory that it has until its request is over.
pub(crate) struct TakenBody {
    pub(crate) bytes: Bytes,
    _reserved: Reserved,
}

/// Takes the body in.
///
/// # Errors
/// It is too large, too slow, not what its encoding says, or there is no memory for it now.
pub(crate) async fn take_body(
    ingress: &Ingress,
    intake: &Intake,
    request: &HttpRequest,
    payload: &mut Payload,
) -> Result<TakenBody, Refusal> {
    let headers = request.headers().get_all(CONTENT_ENCODING);
    let readable: Option<Vec<&str>> = headers.map(|value| value.to_str().ok()).collect();
    let codings = readable.and_then(|headers| Codings::of(headers.into_iter()));
    let codings = codings.ok_or(Refusal::Encoding)?;
    let limit = intake.source.spec.body_limit();
    let wire_limit = codings.wire_limit(limit);
    let declared = request.headers().get(CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
    let mut reserved = ingress.body_bytes.reserve();
    let timeout = ingress.settings.body_timeout();
    let read = read_body(payload, declared, wire_limit, timeout, &mut reserved).await;
    let encoded = read.map_err(|error| match error {
        BodyError::TooLarge => Refusal::TooLarge { limit },
        BodyError::Timeout => Refusal::BodyTimeout,
        BodyError::Broken => Refusal::BodyBroken,
        BodyError::NoMemory => Refusal::Crowded,
    })?;
    let bytes = match is_bodyless(request.method().as_str(), &encoded) {
        true => encoded,
        false => decode(codings, encoded, limit, &ingress.body_bytes, &mut reserved)
            .await
            .map_err(|error| match error {
                DecodeError::Malformed(detail) => Refusal::Malformed(format!("content encoding: {detail}")),
                DecodeError::TooLarge => Refusal::TooLarge { limit },
                DecodeError::NoMemory => Refusal::Crowded,
            })?,
    };
    Ok(TakenBody {
        bytes,
        _reserved: reserved,
    })
}
