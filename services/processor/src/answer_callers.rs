//! Answers the callers of request-response whose events go to no destination that answers: filtered, failed,
//! without a route, a repetition. Stored before the batch is committed, since what is committed is not
//! looked at again; a batch that is evaluated once more gives the same answers, which are known by then.

use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use hookrail_broker::{Answered, Lease, PublishError, Responder};
use hookrail_domain::{
    delivery::Delivery,
    event::{Event, Reply},
    respond::{Response, ResponseOutcome},
};
use hookrail_runtime::clock;

use crate::{
    back_off::BackOff,
    commit::Evaluated,
    consume_partition::Workshop,
    error::GiveUp,
    evaluate::{Evaluation, Verdict},
    evaluation::Arrival,
};

/// Answers that are stored beside each other.
const ANSWERS_AT_ONCE: usize = 64;

/// What a caller gets.
#[derive(Debug, PartialEq)]
enum Answer {
    /// This, kept.
    Kept(ResponseOutcome),
    /// This, for whoever waits for this very request: another one has its place among the kept.
    Told(ResponseOutcome),
}

/// Answers the callers of a batch whose deliveries are published.
pub(crate) async fn answer_callers(
    workshop: &Workshop,
    lease: &Lease,
    evaluated: &[Evaluated],
) -> Result<(), GiveUp> {
    // Boxed, since the compiler can't see that a stream of borrowing futures is `Send`.
    let awaited: Vec<BoxFuture<'_, _>> = evaluated
        .iter()
        .filter_map(|(arrival, evaluation)| {
            let (reply, answer) = (arrival.event.reply.as_ref()?, answer(arrival, evaluation)?);
            Some(give(workshop, lease, &arrival.event, reply, answer).boxed())
        })
        .collect();
    let answers = stream::iter(awaited).buffer_unordered(ANSWERS_AT_ONCE);
    answers.try_collect().await
}

async fn give(
    workshop: &Workshop,
    lease: &Lease,
    event: &Event,
    reply: &Reply,
    answer: Answer,
) -> Result<(), GiveUp> {
    match answer {
        Answer::Kept(outcome) => keep(workshop, lease, event, reply, outcome).await,
        Answer::Told(outcome) => {
            let response = Response {
                event: event.id,
                at: clock::now_ms(),
                body_hash: reply.body_hash.clone(),
                outcome: Some(outcome),
            };
            workshop.responder.tell(reply, response).await;
            Ok(())
        }
    }
}

async fn keep(
    workshop: &Workshop,
    lease: &Lease,
    event: &Event,
    reply: &Reply,
    outcome: ResponseOutcome,
) -> Result<(), GiveUp> {
    let responder: &Responder = &workshop.responder;
    let mut back_off = BackOff::usual();
    workshop
        .metrics
        .answers
        .with_label_values(&[outcome.as_str()])
        .inc();
    loop {
        match responder.answer(reply, event.id, outcome.clone()).await {
            Ok(Answered::Kept) => return Ok(()),
            Ok(Answered::ToldOnly) => {
                workshop.metrics.answers_not_kept.inc();
                return Ok(());
            }
            Err(PublishError::Fenced) => return Err(GiveUp::Replaced),
            // Known by its id where it was stored after all.
            Err(error) => back_off.again(lease, &error).await?,
        }
    }
}

/// What the event's caller is answered; `None` where a destination answers, or another event's caller has
/// the same answer.
fn answer(arrival: &Arrival, evaluation: &Evaluation) -> Option<Answer> {
    match &evaluation.verdict {
        // Who waits for what is held is answered once it is processed, if then anybody still waits.
        Verdict::Again | Verdict::Held => None,
        Verdict::Filtered => Some(Answer::Kept(ResponseOutcome::Filtered)),
        Verdict::Failed(failure) => {
            let outcome = ResponseOutcome::Failed {
                code: failure.code.to_owned(),
                detail: failure.detail.clone(),
            };
            // The answer under this key is the first event's.
            Some(match failure.code {
                KEY_REUSED => Answer::Told(outcome),
                _ => Answer::Kept(outcome),
            })
        }
        // The first event has the same request, and so its answer.
        Verdict::Duplicate(_) if arrival.event.idempotency_key.is_some() => None,
        Verdict::Duplicate(first) => Some(Answer::Kept(ResponseOutcome::Duplicate { first: *first })),
        Verdict::Processed => of_processed(evaluation).map(Answer::Kept),
    }
}

/// The code of an event whose idempotency key came before with another body.
pub(crate) const KEY_REUSED: &str = "idempotency.key_reused";

fn of_processed(evaluation: &Evaluation) -> Option<ResponseOutcome> {
    let answers = |delivery: &Delivery| delivery.reply.is_some();
    if evaluation.deliveries.iter().any(answers) {
        return None;
    }
    let Some(responds) = evaluation.responds else {
        return Some(ResponseOutcome::NoRoute);
    };
    let stillborn = evaluation
        .stillborn
        .iter()
        .find(|record| record.delivery.id == responds);
    let failure = stillborn.and_then(|record| record.failure.clone())?;
    Some(ResponseOutcome::Undelivered(failure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{read_event::Failure, render_delivery};
    use hookrail_domain::{
        event::{Body, Origin},
        ids::{DeliveryId, DestinationId, EventId, WorkspaceId},
    };

    const FIRST: EventId = EventId::from_u128(1);

    fn arrival(key: Option<&str>) -> Arrival {
        let event = Event {
            id: EventId::from_u128(7),
            workspace: WorkspaceId::from_u128(1),
            source: None,
            event_type: String::new(),
            revision: 0,
            accepted_at: 0,
            method: String::new(),
            query: Vec::new(),
            headers: Vec::new(),
            content_type: None,
            body: Body::inline(&b""[..]),
            remote_addr: None,
            credential: None,
            ordering_key: None,
            dedupe_key: None,
            idempotency_key: key.map(str::to_owned),
            current_context: None,
            traceparent: String::new(),
            reply: None,
            internal: false,
        };
        Arrival {
            event,
            partition: 0,
            sequence: 1,
            stored_at: 0,
        }
    }

    fn check(verdict: Verdict, key: Option<&str>, expected: Option<Answer>) {
        let evaluation = Evaluation {
            verdict,
            ..Evaluation::default()
        };
        assert_eq!(answer(&arrival(key), &evaluation), expected, "{evaluation:?}");
    }

    #[test]
    fn every_end_of_an_event_has_its_answer_and_no_answer_hides_another() {
        let kept = |outcome| Some(Answer::Kept(outcome));
        check(Verdict::Filtered, None, kept(ResponseOutcome::Filtered));
        check(Verdict::Processed, None, kept(ResponseOutcome::NoRoute));
        check(Verdict::Again, None, None);
        check(Verdict::Held, None, None);
        let failed = |code: &str| ResponseOutcome::Failed {
            code: code.to_owned(),
            detail: "d".to_owned(),
        };
        let mapping = Verdict::Failed(Failure::new("mapping.unresolved", "d"));
        check(mapping, None, kept(failed("mapping.unresolved")));
        let reused = Verdict::Failed(Failure::new(KEY_REUSED, "d"));
        check(reused, Some("k"), Some(Answer::Told(failed(KEY_REUSED))));
        let first = ResponseOutcome::Duplicate { first: FIRST };
        check(Verdict::Duplicate(FIRST), None, kept(first));
        check(Verdict::Duplicate(FIRST), Some("k"), None);
    }

    #[test]
    fn a_delivery_that_should_answer_and_can_not_be_made_says_why() {
        let mut delivery = Delivery {
            id: DeliveryId::from_u128(5),
            event: EventId::from_u128(7),
            event_type: String::new(),
            workspace: WorkspaceId::from_u128(1),
            source: None,
            destination: DestinationId::from_u128(3),
            route: None,
            entity: None,
            lane_key: None,
            origin: Origin {
                partition: 0,
                sequence: 1,
                index: 0,
            },
            revision: 1,
            accepted_at: 0,
            content_type: None,
            headers: Vec::new(),
            body: Body::inline(&b""[..]),
            traceparent: String::new(),
            replay: None,
            reply: None,
            generation: 0,
            attempts_before: 0,
            was_held: false,
            fetcher: None,
        };
        let record = render_delivery::dead(&delivery, "too large".to_owned());
        let failure = record.failure.clone().unwrap();
        let mut evaluation = Evaluation {
            responds: Some(delivery.id),
            stillborn: vec![*record],
            ..Evaluation::default()
        };
        let undelivered = Answer::Kept(ResponseOutcome::Undelivered(failure));
        assert_eq!(answer(&arrival(None), &evaluation), Some(undelivered));
        delivery.reply = Some(Reply {
            instance: "i".to_owned(),
            request: "r".to_owned(),
            deadline: 9,
            waits_until: 9,
            drop_late: false,
            body_hash: None,
        });
        evaluation.deliveries.push(delivery);
        assert_eq!(
            answer(&arrival(None), &evaluation),
            None,
            "the destination answers"
        );
    }
}
