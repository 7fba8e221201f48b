//! Answers callers of request-response: with the destination's answer, or why there is none. It is stored
//! before the delivery's end is recorded and acknowledged: a crash in between makes the call again, and
//! the first answer stays the one that counts.

use std::time::Duration;

use hookrail_broker::{Answered, Responder};
use hookrail_domain::{
    delivery::{Attempt, Delivery, ErrorCode, Failure},
    lane::{End, Place},
    respond::{CARRIED_HEADERS, ResponseOutcome},
};
use hookrail_outbound::AttemptResult as Exchange;
use hookrail_runtime::clock;

use crate::{
    carry_out::Done, error::PartitionError, metrics::DispatcherMetrics, park::body_of,
    partition_task::PartitionTask, record::of_end,
};

/// How long telling a caller that it waits in vain may take: it is a courtesy.
const TELL_TIMEOUT: Duration = Duration::from_secs(1);

/// What a caller is answered after an exchange; `None` where no whole answer came.
pub(crate) fn of_exchange(exchange: &Exchange, limit: usize) -> Option<ResponseOutcome> {
    let response = exchange.response.as_ref().filter(|_| exchange.error.is_none())?;
    if response.body_truncated {
        let limit = limit as u64;
        return Some(ResponseOutcome::TooLarge { limit });
    }
    let carried = CARRIED_HEADERS.iter().filter_map(|name| {
        let value = response.header(name)?;
        Some(((*name).to_owned(), value.to_owned()))
    });
    Some(ResponseOutcome::Answered {
        status: response.status,
        headers: carried.collect(),
        body: response.body.to_vec(),
    })
}

/// Answers the caller of a delivery that ended, if one waits.
pub(crate) async fn answer(
    responder: &Responder,
    metrics: &DispatcherMetrics,
    delivery: &Delivery,
    answer: Option<Box<ResponseOutcome>>,
    attempt: Option<&Attempt>,
    end: End,
) -> Result<(), PartitionError> {
    let Some(reply) = &delivery.reply else {
        return Ok(());
    };
    let outcome = answer.map_or_else(|| undelivered(attempt, end), |answer| *answer);
    let label = outcome.as_str();
    // Nothing may be acknowledged whose answer's fate is unknown: then the partition is given up.
    if responder.answer(reply, delivery.event, outcome).await? == Answered::ToldOnly {
        metrics.answers_not_kept.inc();
    }
    metrics.answers.with_label_values(&[label]).inc();
    if clock::now_ms() >= reply.waits_until {
        metrics.late_answers.inc();
    }
    Ok(())
}

fn undelivered(attempt: Option<&Attempt>, end: End) -> ResponseOutcome {
    let failure = attempt.and_then(|attempt| attempt.failure.clone());
    let unknown = || Failure {
        code: ErrorCode::Cancelled,
        detail: "it ended without an answer".to_owned(),
    };
    ResponseOutcome::Undelivered(failure.or_else(|| of_end(end)).unwrap_or_else(unknown))
}

impl PartitionTask<'_> {
    /// Tells the caller of the delivery at `place` that it waits in vain, as far as that is possible at
    /// once.
    pub(crate) fn tell_in_vain(&mut self, place: Place) {
        let (held, store) = (self.bodies.get(place), self.store.clone());
        let responder = self.shared.responder.clone();
        self.beside.spawn(async move {
            let tell = async {
                let delivery = body_of(held, &store, place).await?.delivery;
                if let Some(reply) = &delivery.reply {
                    responder.tell_in_vain(reply, delivery.event).await;
                }
                Ok::<_, PartitionError>(())
            };
            // Whoever is not told waits to the end of its time.
            let _told = tokio::time::timeout(TELL_TIMEOUT, tell).await;
            Ok(Done::Recorded)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use hookrail_outbound::{AttemptError, AttemptResponse};

    fn exchange(body_truncated: bool, error: Option<ErrorCode>) -> Exchange {
        let headers = [
            ("content-type", "text/xml"),
            ("set-cookie", "a=1"),
            ("server", "x"),
        ];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Exchange {
            duration_ms: 1,
            response: Some(AttemptResponse {
                status: 404,
                headers: headers.map(owned).to_vec(),
                body: Bytes::from_static(b"<a/>"),
                body_truncated,
            }),
            error: error.map(|code| AttemptError {
                code,
                detail: String::new(),
            }),
        }
    }

    #[test]
    fn a_caller_gets_status_body_and_content_type_and_no_other_header() {
        let answered = ResponseOutcome::Answered {
            status: 404,
            headers: vec![("content-type".to_owned(), "text/xml".to_owned())],
            body: b"<a/>".to_vec(),
        };
        assert_eq!(of_exchange(&exchange(false, None), 10), Some(answered));
        let too_large = ResponseOutcome::TooLarge { limit: 10 };
        assert_eq!(of_exchange(&exchange(true, None), 10), Some(too_large));
        assert_eq!(of_exchange(&exchange(false, Some(ErrorCode::Body)), 10), None);
    }

    #[test]
    fn where_no_answer_came_the_attempt_s_failure_is_told_else_the_end() {
        let told = |end| match undelivered(None, end) {
            ResponseOutcome::Undelivered(failure) => failure.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(told(End::Cancelled(ErrorCode::Expired)), ErrorCode::Expired);
        assert_eq!(told(End::Dead(ErrorCode::OverQuota)), ErrorCode::OverQuota);
    }
}
