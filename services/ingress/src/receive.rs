//! One webhook, from request to answer: every step on one screen.

use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::delivery::{ENVELOPE_BYTES, MAX_DELIVERY_BODY_BYTES};
use hookrail_domain::handshake::ReadyAnswer;
use hookrail_domain::snapshot::Snapshot;
use hookrail_domain::source::query_params::fill_defaults;
use hookrail_domain::wellformed::Checked;
use hookrail_runtime::clock::now_ms;
use hookrail_runtime::forwarded::client_address;

use crate::answer;
use crate::authenticate::authenticate;
use crate::dedupe_key::dedupe_key;
use crate::find_source::find_source;
use crate::head_checks::{check_address, check_enabled, check_head, check_method};
use crate::inbound::Inbound;
use crate::intake::Intake;
use crate::late_answer::{late_answer, token_of};
use crate::ordering_key::{Request, check_body};
use crate::place_body::{forget_body, place_body};
use crate::query::read_query;
use crate::read_body::drain;
use crate::refusal::Refusal;
use crate::respond::{Responded, respond};
use crate::state::Worker;
use crate::store_event::{Receipt, store_event};
use crate::take_body::take_body;
use crate::verify_signature::{Verified, answer_head, verify_signature};

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
        Ok(Taken::Event(receipt)) => {
            ingress.metrics.count_receipt(&receipt);
            let wanted = intake.as_ref().and_then(|intake| intake.acknowledgement.as_ref());
            answer::receipt(&receipt, wanted)
        }
        Ok(Taken::Handshake(ready)) => {
            ingress.metrics.count_handshake(ready.status);
            drain(&mut payload).await;
            answer::handshake(ready)
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

/// What a request that was not refused is.
enum Taken {
    /// An event, which is stored.
    Event(Receipt),
    /// An event, which is stored, and this is its result, or where that will be.
    Answered(Responded),
    /// Something that the sender wants to know, with the answer.
    Handshake(ReadyAnswer),
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
    let mut query = read_query(request.query_string());
    if let Some(ready) = answer_head(ingress, intake, request, &query) {
        return Ok(Taken::Handshake(ready));
    }
    check_method(intake, request, intake.may_greet(request.method().as_str()))?;
    let credential = authenticate(intake, &ingress.published_keys, request.headers(), &query, now).await?;
    let rate = ingress.rates.take_source(intake.source.id, spec.rate_limit, now);
    rate.map_err(too_many)?;
    if ingress.fill.is_source_full(intake.source.id) {
        return Err(Refusal::HeldFull);
    }
    let place = ingress.in_flight.enter().ok_or(Refusal::Busy)?;
    let body = take_body(ingress, intake, request, payload).await?;
    let signed = match verify_signature(ingress, intake, request, &query, &body.bytes).await? {
        Verified::Handshake(ready) => return Ok(Taken::Handshake(ready)),
        Verified::Event(signed) => signed,
    };
    check_method(intake, request, false)?;
    fill_defaults(&spec.query_params, &mut query);
    let inspected = Request {
        method: request.method().as_str(),
        headers: request.headers(),
        query: &query,
        content_type: header(request, CONTENT_TYPE.as_str()),
        body: &body.bytes,
    };
    let checked = well_formed(intake, &inspected).await?;
    let dedupe_key = dedupe_key(intake, &inspected, checked.dedupe_key, signed);
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
    let placed = event.body.object_name().map(str::to_owned);
    let held = (place, body);
    let taken = if spec.request_response.enabled {
        let responded = respond(worker, intake, request.headers(), event, held).await;
        responded.map(Taken::Answered)
    } else {
        store_event(worker, intake, event).await.map(Taken::Event)
    };
    if let Some(name) = placed.filter(|_| !may_be_stored(&taken)) {
        forget_body(worker, name);
    }
    taken
}

/// Whether this request's event is in the log, or may be.
fn may_be_stored(taken: &Result<Taken, Refusal>) -> bool {
    match taken {
        Ok(Taken::Event(receipt)) => matches!(receipt, Receipt::Accepted(_)),
        Ok(Taken::Answered(responded)) => responded.is_stored,
        Ok(Taken::Handshake(_)) => false,
        Err(refusal) => matches!(refusal, Refusal::Unknown(_)),
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
