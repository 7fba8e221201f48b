//! Answers to waiting callers.

use hookrail_broker::codec::{decode_response, encode_response};
use hookrail_domain::{
    delivery::{ErrorCode, Failure},
    ids::EventId,
    respond::{Response, ResponseOutcome},
};

use crate::Golden;

const EVENT: EventId = EventId::from_u128(5);

pub(crate) fn all() -> Vec<Golden> {
    let answered = ResponseOutcome::Answered {
        status: 404,
        headers: vec![("content-type".into(), "text/xml; charset=utf-8".into())],
        body: b"<a>\xc3\xbc</a>".to_vec(),
    };
    let failed = ResponseOutcome::Failed {
        code: "mapping.unresolved".into(),
        detail: "path: $.a".into(),
    };
    let undelivered = Failure {
        code: ErrorCode::Connect,
        detail: "nobody listens".into(),
    };
    vec![
        of("response_pending", None),
        of("response_answered", Some(answered)),
        of("response_filtered", Some(ResponseOutcome::Filtered)),
        of("response_no_route", Some(ResponseOutcome::NoRoute)),
        of("response_failed", Some(failed)),
        of(
            "response_duplicate",
            Some(ResponseOutcome::Duplicate { first: EVENT }),
        ),
        of(
            "response_undelivered",
            Some(ResponseOutcome::Undelivered(undelivered)),
        ),
        of(
            "response_too_large",
            Some(ResponseOutcome::TooLarge { limit: 983_040 }),
        ),
    ]
}

fn of(name: &'static str, outcome: Option<ResponseOutcome>) -> Golden {
    let response = Response {
        event: EVENT,
        at: 1_764_000_000_000,
        body_hash: outcome.is_none().then(|| "4o6cnxq".into()),
        outcome,
    };
    Golden::new(name, response.clone(), encode_response(response), decode_response)
}
