//! One webhook, from request to answer: every step on one screen.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use hookrail_domain::snapshot::Snapshot;
use hookrail_domain::source::DisabledAnswer;
use hookrail_runtime::clock::now_ms;
use ipnet::IpNet;

use crate::answer;
use crate::authenticate::authenticate;
use crate::body_limit::{body_limit, deliverable_bytes};
use crate::content_encoding::{DecodeError, Encoding, decode};
use crate::find_source::find_source;
use crate::forwarded::client_address;
use crate::inbound::Inbound;
use crate::intake::Intake;
use crate::ordering_key::{Request, check_body};
use crate::query::read_query;
use crate::read_body::{BodyError, drain, read_body};
use crate::refusal::{HEAD_MAX_BYTES, Refusal};
use crate::state::{Ingress, Worker};
use crate::store_event::{Receipt, store_event};

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
        Ok(receipt) => {
            ingress.metrics.count_receipt(&receipt);
            answer::receipt(&receipt)
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

async fn accept(
    worker: &Worker,
    snapshot: &Arc<Snapshot>,
    intake: &Intake,
    request: &HttpRequest,
    payload: &mut Payload,
) -> Result<Receipt, Refusal> {
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
    let query = read_query(request.query_string());
    let credential = authenticate(intake, &ingress.published_keys, request.headers(), &query, now).await?;
    let rate = ingress.rates.take_source(intake.source.id, spec.rate_limit, now);
    rate.map_err(too_many)?;
    let _place = ingress.in_flight.enter().ok_or(Refusal::Busy)?;
    let body = body(ingress, intake, request, payload).await?;
    let ordering_key = ordering_key(ingress, intake, request, &query, &body)?;
    ingress.metrics.body_bytes.inc_by(body.len() as u64);
    let inbound = Inbound {
        accepted_at: now_ms(),
        revision: snapshot.revision(),
        credential,
        client,
        query,
        ordering_key,
        body,
    };
    let event = inbound.into_event(intake, request, ingress.broker.settings().partitions);
    tracing::debug!(event_id = %event.id, trace_id = event.trace_id(), "storing an event");
    store_event(worker, intake, event).await
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
