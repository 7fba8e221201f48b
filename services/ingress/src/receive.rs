//! One webhook, from request to answer: every step on one screen.

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::handshake::ReadyAnswer;
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
use crate::ordering_key::{Request, check_body};
use crate::query::read_query;
use crate::read_body::{BodyError, drain, read_body};
use crate::refusal::Refusal;
use crate::state::{Ingress, Worker};
use crate::store_event::{Receipt, store_event};
use crate::verify_signature::{answer_head, verify_signature};

/// Takes one request in.
pub(crate) async fn receive(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let worker = request
        .app_data::<web::Data<Worker>>()
        .expect("every worker was given its part");
    let ingress = &worker.ingress;
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

/// What a request that was not refused is.
enum Taken {
    Event(Receipt),
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
    check_enabled(intake)?;
    let query = read_query(request.query_string());
    if let Some(ready) = answer_head(intake, request, &query) {
        return Ok(Taken::Handshake(ready));
    }
    check_method(intake, request, intake.may_greet(request.method().as_str()))?;
    let credential = authenticate(intake, request.headers(), &query).map_err(Refusal::Unauthorized)?;
    let _place = ingress.in_flight.enter().ok_or(Refusal::Busy)?;
    let body = body(ingress, intake, request, payload).await?;
    if let Some(ready) = verify_signature(&ingress.sender_files, intake, request, &query, &body).await? {
        return Ok(Taken::Handshake(ready));
    }
    check_method(intake, request, false)?;
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
    store_event(worker, intake, event).await.map(Taken::Event)
}

/// Handshakes have methods of their own, whatever the source lists.
fn check_method(intake: &Intake, request: &HttpRequest, may_greet: bool) -> Result<(), Refusal> {
    if may_greet || intake.takes(request.method().as_str()) {
        Ok(())
    } else {
        Err(Refusal::Method(intake.allow.clone()))
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
