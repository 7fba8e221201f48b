//! Answers to waiting callers.

use bytes::Bytes;
use hookrail_domain::respond::{Response, ResponseOutcome};
use hookrail_proto::v1;
use prost::Message;

use super::CodecError;
use super::delivery::{failure, from_failure};
use super::words::{decode, from_pairs, into_pairs, parse};

/// The bytes of an answer.
pub fn encode_response(response: Response) -> Bytes {
    let message = v1::Response {
        event: response.event.to_string(),
        at_ms: response.at,
        body_hash: response.body_hash,
        outcome: response.outcome.map(outcome),
    };
    Bytes::from(message.encode_to_vec())
}

/// Reads an answer. One of a kind that this version does not know is still to come, as far as it is
/// concerned.
pub fn decode_response(bytes: &[u8]) -> Result<Response, CodecError> {
    let message: v1::Response = decode("Response", bytes)?;
    Ok(Response {
        event: parse("response.event", &message.event)?,
        at: message.at_ms,
        body_hash: message.body_hash,
        outcome: message.outcome.map(from_outcome).transpose()?,
    })
}

fn outcome(outcome: ResponseOutcome) -> v1::response::Outcome {
    use v1::response::Outcome;
    match outcome {
        ResponseOutcome::Answered {
            status,
            headers,
            body,
        } => Outcome::Answered(v1::DestinationAnswer {
            status: u32::from(status),
            headers: into_pairs(headers),
            body,
        }),
        ResponseOutcome::Filtered => Outcome::Filtered(v1::FilteredOut {}),
        ResponseOutcome::NoRoute => Outcome::NoRoute(v1::NoRoute {}),
        ResponseOutcome::Failed { code, detail } => Outcome::Failed(v1::EventFailed { code, detail }),
        ResponseOutcome::Duplicate { first } => Outcome::Duplicate(v1::RepeatedEvent {
            first: first.to_string(),
        }),
        ResponseOutcome::Undelivered(cause) => Outcome::Undelivered(failure(&cause)),
        ResponseOutcome::TooLarge { limit } => Outcome::TooLarge(v1::AnswerTooLarge { limit }),
    }
}

fn from_outcome(outcome: v1::response::Outcome) -> Result<ResponseOutcome, CodecError> {
    use v1::response::Outcome;
    Ok(match outcome {
        Outcome::Answered(answer) => ResponseOutcome::Answered {
            status: u16::try_from(answer.status)
                .map_err(|error| CodecError::new("response.answered.status", error))?,
            headers: from_pairs(answer.headers),
            body: answer.body,
        },
        Outcome::Filtered(_) => ResponseOutcome::Filtered,
        Outcome::NoRoute(_) => ResponseOutcome::NoRoute,
        Outcome::Failed(failed) => ResponseOutcome::Failed {
            code: failed.code,
            detail: failed.detail,
        },
        Outcome::Duplicate(repeated) => ResponseOutcome::Duplicate {
            first: parse("response.duplicate.first", &repeated.first)?,
        },
        Outcome::Undelivered(cause) => ResponseOutcome::Undelivered(from_failure(cause)?),
        Outcome::TooLarge(too_large) => ResponseOutcome::TooLarge {
            limit: too_large.limit,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_answer_are_refused_by_field() {
        assert_eq!(decode_response(b"\xff").unwrap_err().field, "Response");
        assert_eq!(decode_response(b"").unwrap_err().field, "response.event");
        let wrong = v1::Response {
            event: "evt_00000000000000000000000005".to_owned(),
            outcome: Some(v1::response::Outcome::Answered(v1::DestinationAnswer {
                status: 70_000,
                ..v1::DestinationAnswer::default()
            })),
            ..v1::Response::default()
        };
        let error = decode_response(&wrong.encode_to_vec()).unwrap_err();
        assert_eq!(error.field, "response.answered.status");
    }
}
