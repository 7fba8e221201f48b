//! One webhook, from request to answer: every step on one screen.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::delivery::{ENVELOPE_BYTES, MAX_DELIVERY_BODY_BYTES};
use hookrail_domain::snapshot::Snapshot;
use hookrail_domain::source::DisabledAnswer;
use hookrail_domain::source::query_params::fill_defaults;
use hookrail_domain::wellformed::Checked;
use hookrail_runtime::clock::now_ms;
use ipnet::IpNet;

use crate::answer;
use crate::authenticate::authenticate;
use crate::dedupe_key::dedupe_key;
use crate::find_source::find_source;
use crate::forwarded::client_address;
use crate::inbound::Inbound;
use crate::intake::Intake;
use crate::late_answer::{late_answer, token_of};
use crate::ordering_key::{Request, check_body};
use crate::place_body::{forget_body, place_body};
use crate::query::read_query;
use crate::read_body::drain;
use crate::refusal::{HEAD_MAX_BYTES, Refusal};
use crate::respond::{Responded, respond};
use crate::state::Worker;
use crate::store_event::{Receipt, store_event};
use crate::take_body::take_body;

/// Takes one request in.
pub(crate) async fn receive(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let worker = request
        .app_data::<web::Data<Worker>>()
        .expect("every worker was given its part");
    let ingress = &worker.ingress;
    let started = Instant::now();
    if let Some(token) = token_of(request.path()) {
        return late_answer(worker, request.method(), token).await;
    }
    let mut payload = payload.into_inner();
    let snapshot = ingress.snapshot.current();
    let found = find_source(&snapshot, request.path(), now_ms());
    let intake = found.map(|source| worker.intake(source));
    let taken = match &intake {
        Some(intake) => accept(worker, &snapshot, intake, &request, &mut payload).await,
        None => Err(Refusal::NotFound),
    };
    match taken {
        Ok(Taken::Stored(receipt)) => {
            ingress.metrics.count_receipt(&receipt);
            answer::receipt(&receipt)
        }
        Ok(Taken::Answered(responded)) => {
            ingress
                .metrics
                .count_response(responded.outcome, started.elapsed());
            responded.answer
        }
        Err(refusal) => {
            ingress.metrics.count_refusal(&refusal);
            if let Some(intake) = &intake {
                let trusted = &ingress.settings.ingress_trusted_proxies;
                ingress.reports.note(intake, &refusal, &request, trusted);
            }
            let is_read = drain(&mut payload).await;
            let challenge = intake.and_then(|intake| intake.challenge);
            answer::refusal(&refusal, challenge, is_read)
        }
    }
}

/// A request that was taken in.
enum Taken {
    /// Its event is stored.
    Stored(Receipt),
    /// Its event is stored, and this is its result, or where that will be.
    Answered(Responded),
}

async fn accept(
    worker: &Worker,
    snapshot: &Arc<Snapshot>,
    intake: &Intake,
    request: &HttpRequest,
    payload: &mut Payload,
) -> Result<Taken, Refusal> {
    let ingress = &worker.ingress;
    let (spec, now) = (&intake.source.spec, now_ms());
    check_head(request)?;
    let client = client_address(request, &ingress.settings.ingress_trusted_proxies);
    let too_many = |wait_ms| Refusal::TooMany(wait_ms);
    ingress.rates.take_client(client, now).map_err(too_many)?;
    check_enabled(intake)?;
    check_address(client, &spec.allow_ips)?;
    if !intake.takes(request.method().as_str()) {
        return Err(Refusal::Method(intake.allow.clone()));
    }
    let mut query = read_query(request.query_string());
    fill_defaults(&spec.query_params, &mut query);
    let credential = authenticate(intake, &ingress.published_keys, request.headers(), &query, now).await?;
    let rate = ingress.rates.take_source(intake.source.id, spec.rate_limit, now);
    rate.map_err(too_many)?;
    let place = ingress.in_flight.enter().ok_or(Refusal::Busy)?;
    let body = take_body(ingress, intake, request, payload).await?;
    let inspected = Request {
        method: request.method().as_str(),
        headers: request.headers(),
        query: &query,
        content_type: header(request, CONTENT_TYPE.as_str()),
        body: &body.bytes,
    };
    let checked = well_formed(intake, &inspected).await?;
    let dedupe_key = dedupe_key(intake, &inspected, checked.dedupe_key, None);
    let ordering_key = checked.key;
    ingress.metrics.body_bytes.inc_by(body.bytes.len() as u64);
    let inbound = Inbound {
        accepted_at: now_ms(),
        revision: snapshot.revision(),
        credential,
        client,
        query,
        ordering_key,
        dedupe_key,
    };
    let mut event = inbound.into_event(intake, request, ingress.broker.settings().partitions);
    tracing::debug!(event_id = %event.id, trace_id = event.trace_id(), "storing an event");
    place_body(worker, &mut event, body.bytes.clone()).await?;
    let placed = event.body.clone();
    let taken = if spec.request_response.enabled {
        let responded = respond(worker, intake, request.headers(), event, place).await;
        responded.map(Taken::Answered)
    } else {
        store_event(worker, intake, event).await.map(Taken::Stored)
    };
    forget_body(worker, &placed, may_be_stored(&taken));
    taken
}

/// Whether this request's event is in the log, or may be.
fn may_be_stored(taken: &Result<Taken, Refusal>) -> bool {
    match taken {
        Ok(Taken::Stored(receipt)) => matches!(receipt, Receipt::Accepted(_)),
        Ok(Taken::Answered(responded)) => responded.is_stored,
        Err(refusal) => matches!(refusal, Refusal::Unknown(_)),
    }
}

/// The server bounds a head too, and closes the connection over it; this one is answered.
fn check_head(request: &HttpRequest) -> Result<(), Refusal> {
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

fn check_address(client: Option<IpAddr>, allowed: &[IpNet]) -> Result<(), Refusal> {
    let inside = |client: IpAddr| allowed.iter().any(|network| network.contains(&client));
    match allowed.is_empty() || client.is_some_and(inside) {
        true => Ok(()),
        false => Err(Refusal::Address),
    }
}

fn check_enabled(intake: &Intake) -> Result<(), Refusal> {
    let spec = &intake.source.spec;
    match (spec.enabled, spec.disabled_answer) {
        (true, _) => Ok(()),
        (false, DisabledAnswer::Reject) => Err(Refusal::Disabled),
        (false, DisabledAnswer::Retry) => Err(Refusal::DisabledForNow),
    }
}

/// What the body says to be, and its keys.
async fn well_formed(intake: &Intake, request: &Request<'_>) -> Result<Checked, Refusal> {
    let checked = check_body(intake, request).await;
    let checked = checked.map_err(|error| Refusal::Malformed(error.to_string()))?;
    let limit = MAX_DELIVERY_BODY_BYTES as usize - ENVELOPE_BYTES;
    let bytes = checked.json_bytes;
    match bytes > limit {
        true => Err(Refusal::TooLargeAsJson { bytes, limit }),
        false => Ok(checked),
    }
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}
