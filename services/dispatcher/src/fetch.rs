//! Makes one attempt of a fetch: asks the sender's API for an entity, and puts the answer into the log as
//! an event of Hookrail's own. Only when the broker has that is the attempt a success, so a crash in between
//! asks again; the answer then has the same id, and is known by it.
//!
//! Doesn't look into answers: what the entity in them is, is the processor's part.

use std::sync::Arc;

use hookrail_broker::Lease;
use hookrail_domain::{
    delivery::{Attempt, Delivery, EntityRef, ErrorCode, Failure},
    event::Body,
    fetcher::{
        Fetcher, On404,
        answer::{self, Fetched, MAX_ANSWER_BYTES},
        ids::FetchId,
    },
    lane::Send,
    retry::AttemptResult,
    snapshot::Snapshot,
};
use hookrail_outbound::{AttemptResult as Exchange, MadeRequest, make_fetch_request};
use hookrail_runtime::clock;

use crate::{
    attempt::{finished, number, unsent},
    bodies::Held,
    carry_out::Done,
    error::PartitionError,
    fetch_memory::FetchMemory,
    judge_answer,
    own_partitions::Shared,
    publish_answer::publish_answer,
};

/// A fetch that is ready to be sent.
struct Ready {
    fetcher: Arc<Fetcher>,
    entity: EntityRef,
    made: MadeRequest,
}

/// What an exchange means for its fetch.
enum Meaning {
    /// The answer goes into the log.
    Answer,
    /// Whatever the retry policy says.
    Judge,
    /// It is given up.
    GiveUp(Failure),
}

/// Makes one attempt of `held`, unless one that began after it was asked for has its answer already.
pub(crate) async fn attempt(
    shared: &Shared,
    lease: &Lease,
    held: Held,
    memory: &FetchMemory,
    send: Send,
) -> Result<Done, PartitionError> {
    let (delivery, place) = (held.delivery, held.queue_sequence);
    let (number, epoch, started_at) = (number(&delivery, send), lease.epoch(), clock::now_ms());
    if let Some(other) = memory.answered_by(&delivery, place) {
        let (attempt, result) = covered(other.to_string(), number, epoch, started_at);
        return Ok(finished(shared, delivery, send, attempt, result));
    }
    let snapshot = shared.snapshots.current();
    let ready = match ready(&snapshot, &delivery, started_at) {
        Ok(ready) => ready,
        Err(failure) => {
            let (attempt, result) = unsent(failure, number, epoch, started_at);
            return Ok(finished(shared, delivery, send, attempt, result));
        }
    };
    let limit = ready.made.request.keep_body_bytes as u64;
    let _room = match limit > MAX_ANSWER_BYTES {
        true => Some(shared.broker.large_memory(limit).await),
        false => None,
    };
    let through = memory.begin(place);
    shared.metrics.in_flight.inc();
    let of_check = lease.clone();
    let check = Arc::new(move || of_check.holds());
    let exchange = shared.outbound.send_while(&ready.made.request, check).await;
    shared.metrics.in_flight.dec();
    let exchange = exchange.map_err(|_withheld| PartitionError::Replaced)?;
    let mut attempt = judge_answer::attempt(&exchange, &ready.made, number, epoch, started_at);
    let result = match meaning(&exchange, ready.fetcher.spec.on_404, limit) {
        Meaning::Judge => judge_answer::result(&exchange, clock::now_ms()),
        Meaning::GiveUp(failure) => {
            attempt.failure = Some(failure);
            AttemptResult::Failed(ErrorCode::Render)
        }
        Meaning::Answer => {
            tell(shared, lease, &delivery, &ready, &exchange, snapshot.revision()).await?;
            memory.answered(&delivery, through);
            attempt.failure = None;
            SUCCESS
        }
    };
    Ok(finished(shared, delivery, send, attempt, result))
}

/// What the order engine is told of an answer that is in the log, whatever its status.
const SUCCESS: AttemptResult = AttemptResult::Answered {
    status: 200,
    retry_after_ms: None,
};

/// The request, or why there is none.
fn ready(snapshot: &Snapshot, delivery: &Delivery, now: i64) -> Result<Ready, Failure> {
    let fail = |code, detail: String| Failure { code, detail };
    let render = |detail: String| fail(ErrorCode::Render, detail);
    let fetcher = delivery.fetcher.and_then(|id| snapshot.fetcher(id)).cloned();
    let fetcher = fetcher.ok_or_else(|| fail(ErrorCode::Cancelled, "the fetcher was deleted".to_owned()))?;
    let asked = delivery.body.bytes().and_then(|body| FetchId::from_body(body));
    let (asked, entity) = asked
        .zip(delivery.entity.clone())
        .ok_or_else(|| render("it doesn't say what is asked for".to_owned()))?;
    let source = delivery.source.and_then(|id| snapshot.source(id));
    let limit = source.map_or(MAX_ANSWER_BYTES, |source| source.spec.max_body_bytes);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let made =
        make_fetch_request(&fetcher.spec, &asked, limit, now).map_err(|error| render(error.to_string()))?;
    Ok(Ready {
        fetcher,
        entity,
        made,
    })
}

fn meaning(exchange: &Exchange, on_404: On404, limit: u64) -> Meaning {
    let Some(response) = exchange.response.as_ref().filter(|_| exchange.error.is_none()) else {
        return Meaning::Judge;
    };
    let missing = answer::is_missing(response.status);
    if missing && on_404 == On404::Fail {
        let detail = format!("the API has no such entity: it answered {}", response.status);
        return Meaning::GiveUp(Failure {
            code: ErrorCode::Status,
            detail,
        });
    }
    if missing {
        return Meaning::Answer;
    }
    if !(200..300).contains(&response.status) {
        return Meaning::Judge;
    }
    if response.body_truncated {
        return Meaning::GiveUp(Failure {
            code: ErrorCode::Body,
            detail: format!("the answer has more than the {limit} bytes that its source takes"),
        });
    }
    Meaning::Answer
}

async fn tell(
    shared: &Shared,
    lease: &Lease,
    delivery: &Delivery,
    ready: &Ready,
    exchange: &Exchange,
    revision: u64,
) -> Result<(), PartitionError> {
    let Some(response) = &exchange.response else {
        return Ok(());
    };
    // What an API says beside "there is none" is nobody's entity.
    let body = match answer::is_missing(response.status) {
        true => Body::inline(Vec::new()),
        false => Body::inline(&response.body[..]),
    };
    let fetched = Fetched {
        status: response.status,
        content_type: response.header("content-type").map(str::to_owned),
        body,
        at: clock::now_ms(),
        revision,
    };
    let partitions = shared.broker.settings().partitions;
    let event = answer::event(delivery, ready.fetcher.id, &ready.entity, fetched, partitions);
    publish_answer(shared, lease, event).await
}

/// The attempt of a fetch whose answer is in the log already, asked for by `other`.
fn covered(other: String, number: u32, epoch: u64, started_at: i64) -> (Attempt, AttemptResult) {
    let attempt = Attempt {
        number,
        epoch,
        started_at,
        duration_ms: 0,
        method: String::new(),
        url: String::new(),
        request_headers: vec![("hookrail-answered-by".to_owned(), other)],
        status: None,
        response_headers: Vec::new(),
        response_body: Vec::new(),
        failure: None,
    };
    (attempt, SUCCESS)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hookrail_outbound::{AttemptError, AttemptResponse};

    use super::*;

    fn check(status: u16, truncated: bool, error: bool, on_404: On404, expected: &str) {
        let exchange = Exchange {
            duration_ms: 1,
            response: Some(AttemptResponse {
                status,
                headers: Vec::new(),
                body: Bytes::new(),
                body_truncated: truncated,
            }),
            error: error.then(|| AttemptError {
                code: ErrorCode::Body,
                detail: String::new(),
            }),
        };
        let found = match meaning(&exchange, on_404, 10) {
            Meaning::Answer => "answer".to_owned(),
            Meaning::Judge => "judge".to_owned(),
            Meaning::GiveUp(failure) => failure.code.as_str().to_owned(),
        };
        assert_eq!(found, expected, "{status} {truncated} {error} {on_404:?}");
    }

    #[test]
    fn an_answer_is_told_tried_again_or_given_up() {
        check(200, false, false, On404::Delete, "answer");
        check(200, true, false, On404::Delete, "body");
        check(200, false, true, On404::Delete, "judge");
        for missing in [404, 410] {
            check(missing, false, false, On404::Delete, "answer");
            check(missing, true, false, On404::Mark, "answer");
            check(missing, false, false, On404::Fail, "status");
            check(missing, false, true, On404::Fail, "judge");
        }
        for other in [301, 400, 401, 429, 500] {
            check(other, true, false, On404::Delete, "judge");
        }
    }
}
