//! What a request's head alone can be refused for: its size, its address, its method, a source that is off.

use std::net::IpAddr;

use actix_web::HttpRequest;
use hookrail_domain::source::DisabledAnswer;
use ipnet::IpNet;

use crate::intake::Intake;
use crate::refusal::{HEAD_MAX_BYTES, Refusal};

/// The server bounds a head too, and closes the connection over it; this one is answered.
pub(crate) fn check_head(request: &HttpRequest) -> Result<(), Refusal> {
    let headers = request.headers().iter();
    let bytes: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    match bytes + target <= HEAD_MAX_BYTES {
        true => Ok(()),
        false => Err(Refusal::HeadTooLarge),
    }
}

/// Where a source lists networks, its senders are in one of them.
pub(crate) fn check_address(client: Option<IpAddr>, allowed: &[IpNet]) -> Result<(), Refusal> {
    let inside = |client: IpAddr| allowed.iter().any(|network| network.contains(&client));
    match allowed.is_empty() || client.is_some_and(inside) {
        true => Ok(()),
        false => Err(Refusal::Address),
    }
}

/// Handshakes have methods of their own, whatever the source lists.
pub(crate) fn check_method(intake: &Intake, request: &HttpRequest, may_greet: bool) -> Result<(), Refusal> {
    match may_greet || intake.takes(request.method().as_str()) {
        true => Ok(()),
        false => Err(Refusal::Method(intake.allow.clone())),
    }
}

pub(crate) fn check_enabled(intake: &Intake) -> Result<(), Refusal> {
    let spec = &intake.source.spec;
    match (spec.enabled, spec.disabled_answer) {
        (true, _) => Ok(()),
        (false, DisabledAnswer::Reject) => Err(Refusal::Disabled),
        (false, DisabledAnswer::Retry) => Err(Refusal::DisabledForNow),
    }
}
