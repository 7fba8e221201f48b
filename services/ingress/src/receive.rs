//! One webhook, from request to answer: every step on one screen.

use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::snapshot::Snapshot;
use hookrail_domain::source::DisabledAnswer;
use hookrail_runtime::clock::now_ms;

use crate::answer;
use crate::authenticate::authenticate;
use crate::body_limit::{body_limit, deliverable_bytes};
use crate::content_encoding::{DecodeError, Encoding, decode};
use crate::find_source::find_source;
use crate::inbound::Inbound;
use crate::intake::Intake;
use crate::late_answer::{late_answer, token_of};
use crate::ordering_key::{Request, check_body};
use crate::query::read_query;
use crate::read_body::{BodyError, drain, read_body};
use crate::refusal::Refusal;
use crate::respond::{Responded, respond};
use crate::state::{Ingress, Worker};
use crate::store_event::{Receipt, store_event};

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
                ingress.reports.note(intake, &refusal, &request);
            }
            let is_read = drain(&mut payload).await;
            answer::refusal(&refusal, is_read)
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
    check_enabled(intake)?;
    if !intake.takes(request.method().as_str()) {
        return Err(Refusal::Method(intake.allow.clone()));
    }
    let query = read_query(request.query_string());
    let credential = authenticate(intake, request.headers(), &query).map_err(Refusal::Unauthorized)?;
    let place = ingress.in_flight.enter().ok_or(Refusal::Busy)?;
    let body = body(ingress, intake, request, payload).await?;
    let ordering_key = ordering_key(ingress, intake, request, &query, &body)?;
    ingress.metrics.body_bytes.inc_by(body.len() as u64);
    let inbound = Inbound {
        accepted_at: now_ms(),
        revision: snapshot.revision(),
        credential,
        query,
        ordering_key,
        body,
    };
    let event = inbound.into_event(intake, request, ingress.broker.settings().partitions);
    tracing::debug!(event_id = %event.id, trace_id = event.trace_id(), "storing an event");
    if intake.source.spec.request_response.enabled {
        let responded = respond(worker, intake, request.headers(), event, place);
        return responded.await.map(Taken::Answered);
    }
    store_event(worker, intake, event).await.map(Taken::Stored)
}

fn check_enabled(intake: &Intake) -> Result<(), Refusal> {
    let spec = &intake.source.spec;
    match (spec.enabled, spec.disabled_answer) {
        (true, _) => Ok(()),
        (false, DisabledAnswer::Reject) => Err(Refusal::Disabled),
        (false, DisabledAnswer::Retry) => Err(Refusal::DisabledForNow),
    }
}

/// The body, its content encoding undone, within the source's limit.
async fn body(
    ingress: &Ingress,
    intake: &Intake,
    request: &HttpRequest,
    payload: &mut Payload,
) -> Result<Bytes, Refusal> {
    let encoding = Encoding::of(header(request, CONTENT_ENCODING.as_str()));
    let encoding = encoding.ok_or(Refusal::Encoding)?;
    let limit = body_limit(&ingress.broker, &intake.source.spec);
    let declared = header(request, CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok());
    let read = read_body(payload, declared, limit, ingress.settings.body_timeout()).await;
    let encoded = read.map_err(|error| match error {
        BodyError::TooLarge => Refusal::TooLarge { limit },
        BodyError::Timeout => Refusal::BodyTimeout,
        BodyError::Broken => Refusal::BodyBroken,
    })?;
    decode(encoding, encoded, limit)
        .await
        .map_err(|error| match error {
            DecodeError::Malformed(detail) => Refusal::Malformed(format!("content encoding: {detail}")),
            DecodeError::TooLarge => Refusal::TooLarge { limit },
        })
}

fn ordering_key(
    ingress: &Ingress,
    intake: &Intake,
    request: &HttpRequest,
    query: &[(String, String)],
    body: &Bytes,
) -> Result<Option<String>, Refusal> {
    let request = Request {
        method: request.method().as_str(),
        headers: request.headers(),
        query,
        content_type: header(request, CONTENT_TYPE.as_str()),
        body,
    };
    let checked = check_body(&intake.source.spec, &intake.order, &request)
        .map_err(|error| Refusal::Malformed(error.to_string()))?;
    let (bytes, limit) = (checked.json_bytes, deliverable_bytes(&ingress.broker));
    if bytes > limit {
        return Err(Refusal::TooLargeAsJson { bytes, limit });
    }
    Ok(checked.key)
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}
