//! Makes one attempt: the request, the exchange, and what the engine and the journal need of it.

use std::sync::Arc;

use bytes::Bytes;
use hookrail_broker::{Lease, ParkedStore};
use hookrail_domain::{
    Millis,
    delivery::{Attempt, Delivery, ErrorCode, Failure},
    destination::DestinationSpec,
    lane::Send,
    respond::ResponseOutcome,
    retry::AttemptResult,
};
use hookrail_outbound::MadeRequest;
use hookrail_runtime::clock;

use crate::{
    answer_caller,
    bodies::Held,
    carry_out::Done,
    error::PartitionError,
    fetch,
    fetch_memory::FetchMemory,
    judge_answer,
    large_body::read_body,
    make_request::{self, RequestError},
    own_partitions::Shared,
    park::body_of,
};

/// An attempt that was made, with its delivery, for the journal.
pub(crate) struct Finished {
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) attempt: Box<Attempt>,
    /// What its caller is answered, where one waits and this attempt settles it.
    pub(crate) outcome: Option<Box<ResponseOutcome>>,
}

/// Makes one attempt. The delivery is read again where it is not in memory.
pub(crate) async fn attempt(
    shared: &Shared,
    lease: Lease,
    store: ParkedStore,
    held: Option<Held>,
    memory: &FetchMemory,
    send: Send,
) -> Result<Done, PartitionError> {
    let held = body_of(held, &store, send.place).await?;
    if held.delivery.fetcher.is_some() {
        return fetch::attempt(shared, &lease, held, memory, send).await;
    }
    let delivery = held.delivery;
    let number = number(&delivery, send);
    let at_hand = read_body(shared, &lease, &delivery.body).await?;
    let started_at = clock::now_ms();
    let snapshot = shared.snapshots.current();
    let body = at_hand.bytes.clone();
    let made = match snapshot.destination(delivery.destination) {
        Some(destination) => make_request(shared, &delivery, body, &destination.spec, number, started_at)
            .map_err(|error| Failure {
                code: ErrorCode::Render,
                detail: error.to_string(),
            }),
        None => Err(Failure {
            code: ErrorCode::Cancelled,
            detail: "the destination was deleted".to_owned(),
        }),
    };
    let epoch = lease.epoch();
    let mut outcome = None;
    let (attempt, result) = match made {
        Err(failure) => unsent(failure, number, epoch, started_at),
        Ok(made) => {
            shared.metrics.in_flight.inc();
            let check = Arc::new(move || lease.holds());
            let exchange = shared.outbound.send_while(&made.request, check).await;
            shared.metrics.in_flight.dec();
            let exchange = exchange.map_err(|_withheld| PartitionError::Replaced)?;
            let attempt = judge_answer::attempt(&exchange, &made, number, epoch, started_at);
            let limit = made.request.keep_body_bytes;
            outcome = delivery
                .reply
                .as_ref()
                .and_then(|_| answer_caller::of_exchange(&exchange, limit));
            (attempt, judge_answer::result(&exchange, clock::now_ms()))
        }
    };
    drop(at_hand);
    log_attempt(shared, &delivery, &attempt);
    Ok(Done::Attempt {
        id: send.attempt,
        finished: Box::new(Finished {
            delivery,
            attempt: Box::new(attempt),
            outcome: outcome.map(Box::new),
        }),
        result,
    })
}

/// The request of an attempt. Of an answer that goes to a caller all is kept that can be carried.
fn make_request(
    shared: &Shared,
    delivery: &Delivery,
    body: Option<Bytes>,
    spec: &DestinationSpec,
    number: u32,
    now: Millis,
) -> Result<MadeRequest, RequestError> {
    let mut made = make_request::make_request(delivery, body, spec, number, now)?;
    if delivery.reply.is_some() {
        made.request.keep_body_bytes = shared.responder.body_limit();
    }
    Ok(made)
}

/// An attempt that nobody waits for the answer of.
pub(crate) fn finished(
    shared: &Shared,
    delivery: Arc<Delivery>,
    send: Send,
    attempt: Attempt,
    result: AttemptResult,
) -> Done {
    log_attempt(shared, &delivery, &attempt);
    Done::Attempt {
        id: send.attempt,
        finished: Box::new(Finished {
            delivery,
            attempt: Box::new(attempt),
            outcome: None,
        }),
        result,
    }
}

/// An attempt that ended in a panic.
pub(crate) async fn broken(
    held: Option<Held>,
    store: &ParkedStore,
    send: Send,
    epoch: u64,
) -> Result<Done, PartitionError> {
    tracing::error!(delivery = %send.delivery, "an attempt panicked");
    let delivery = body_of(held, store, send.place).await?.delivery;
    let detail = "the attempt broke off inside Hookrail".to_owned();
    let failure = Failure {
        code: ErrorCode::Render,
        detail,
    };
    let (attempt, result) = unsent(failure, number(&delivery, send), epoch, clock::now_ms());
    Ok(Done::Attempt {
        id: send.attempt,
        finished: Box::new(Finished {
            delivery,
            attempt: Box::new(attempt),
            outcome: None,
        }),
        result,
    })
}

/// The attempt's number among all that were made for the delivery.
pub(crate) fn number(delivery: &Delivery, send: Send) -> u32 {
    delivery.attempts_before.saturating_add(send.number)
}

/// An attempt of which nothing went out.
pub(crate) fn unsent(
    failure: Failure,
    number: u32,
    epoch: u64,
    started_at: Millis,
) -> (Attempt, AttemptResult) {
    let result = AttemptResult::Failed(failure.code);
    let attempt = Attempt {
        number,
        epoch,
        started_at,
        duration_ms: 0,
        method: String::new(),
        url: String::new(),
        request_headers: Vec::new(),
        status: None,
        response_headers: Vec::new(),
        response_body: Vec::new(),
        failure: Some(failure),
    };
    (attempt, result)
}

fn log_attempt(shared: &Shared, delivery: &Delivery, attempt: &Attempt) {
    let result = attempt
        .failure
        .as_ref()
        .map_or("success", |failure| failure.code.as_str());
    shared.metrics.attempts.with_label_values(&[result]).inc();
    shared
        .metrics
        .attempt_seconds
        .observe(attempt.duration_ms as f64 / 1000.0);
    let trace_id = hookrail_domain::event::trace_id(&delivery.traceparent);
    let (number, status) = (attempt.number, attempt.status);
    match &attempt.failure {
        None => tracing::debug!(trace_id, delivery = %delivery.id, number, status, "attempt delivered"),
        Some(failure) => {
            tracing::info!(trace_id, delivery = %delivery.id, number, status, code = result, detail = %failure.detail, "attempt failed");
        }
    }
}
