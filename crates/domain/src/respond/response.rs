//! What a waiting caller is answered, whichever way its event went, and how that looks over HTTP.

use crate::{
    Millis,
    delivery::{ErrorCode, Failure},
    ids::EventId,
    json::Json,
};

/// Headers of the destination's answer that go to the caller with it: what its body is.
pub const CARRIED_HEADERS: [&str; 2] = ["content-type", "content-encoding"];
/// The media type of RFC 9457, section 3.
const PROBLEM: &str = "application/problem+json";

/// The answer to a request, or the note that it is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The event whose result it is.
    pub event: EventId,
    /// When it was made.
    pub at: Millis,
    /// A hash of the request's body, where it came with an idempotency key.
    pub body_hash: Option<String>,
    /// The result; `None` = still to come, and the caller was or is to be told so.
    pub outcome: Option<ResponseOutcome>,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseOutcome {
    /// The destination answered.
    Answered {
        /// Its status, whatever that is.
        status: u16,
        /// Those of its headers that are carried ([`CARRIED_HEADERS`]).
        headers: Vec<(String, String)>,
        /// Its body.
        body: Vec<u8>,
    },
    /// The source's filter left the event out.
    Filtered,
    /// No route takes the event to a destination that answers.
    NoRoute,
    /// The event could not be decoded or mapped.
    Failed {
        /// The event's error.
        code: String,
        /// For people.
        detail: String,
    },
    /// It repeats another event, which the sender's own id says.
    Duplicate {
        /// That event.
        first: EventId,
    },
    /// No answer came from the destination, and none will.
    Undelivered(Failure),
    /// The destination's answer is larger than is carried.
    TooLarge {
        /// The most that is carried, bytes.
        limit: u64,
    },
}

/// An answer as it goes over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl ResponseOutcome {
    /// Its name in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Answered { .. } => "answered",
            Self::Filtered => "filtered",
            Self::NoRoute => "no_route",
            Self::Failed { .. } => "failed",
            Self::Duplicate { .. } => "duplicate",
            Self::Undelivered(_) => "undelivered",
            Self::TooLarge { .. } => "too_large",
        }
    }

    /// The answer's status: the destination's own, else 204 where nothing was to be answered, 422 for an
    /// event that failed, 502 to 504 where the destination gave no answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Answered { status, .. } => *status,
            Self::Filtered | Self::NoRoute => 204,
            Self::Failed { .. } => 422,
            Self::Duplicate { .. } => 200,
            Self::Undelivered(failure) => match failure.code {
                ErrorCode::Timeout | ErrorCode::Expired => 504,
                ErrorCode::OverQuota => 503,
                _ => 502,
            },
            Self::TooLarge { .. } => 502,
        }
    }

    /// The code, title and detail of its problem document; `None` for what is no problem.
    fn problem(&self) -> Option<(String, &'static str, String)> {
        match self {
            Self::Answered { .. } | Self::Filtered | Self::NoRoute | Self::Duplicate { .. } => None,
            Self::Failed { code, detail } => {
                let code = code.replace(['.', '_'], "-");
                Some((code, "The event can't be processed", detail.clone()))
            }
            Self::Undelivered(failure) => {
                let code = format!("destination-{}", failure.code.as_str().replace('_', "-"));
                Some((code, "The destination gave no answer", failure.detail.clone()))
            }
            Self::TooLarge { limit } => Some((
                "destination-answer-too-large".to_owned(),
                "The destination's answer is too large",
                format!("an answer of up to {limit} bytes is passed on; the destination has the request"),
            )),
        }
    }

    /// As it goes over HTTP, about the event `event`.
    pub fn shown(&self, event: EventId) -> Shown {
        let (mut headers, body) = match self {
            Self::Answered { headers, body, .. } => (headers.clone(), body.clone()),
            Self::Duplicate { first } => {
                let body = Json::from([("event_id", Json::from(first.to_string()))]);
                (of_type("application/json"), body.to_compact_vec())
            }
            _ => match self.problem() {
                Some(words) => (of_type(PROBLEM), document(self.status(), words, event)),
                None => (Vec::new(), Vec::new()),
            },
        };
        headers.push(("hookrail-event-id".to_owned(), event.to_string()));
        Shown {
            status: self.status(),
            headers,
            body,
        }
    }
}

fn of_type(content_type: &str) -> Vec<(String, String)> {
    vec![("content-type".to_owned(), content_type.to_owned())]
}

/// A problem document (RFC 9457, section 3.1).
fn document(status: u16, (code, title, detail): (String, &str, String), event: EventId) -> Vec<u8> {
    let document = Json::from([
        ("type", Json::from(format!("urn:hookrail:problem:{code}"))),
        ("title", title.into()),
        ("status", i64::from(status).into()),
        ("detail", detail.into()),
        ("code", code.into()),
        ("event_id", event.to_string().into()),
    ]);
    document.to_compact_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: EventId = EventId::from_u128(7);

    fn check(outcome: ResponseOutcome, status: u16, content_type: &str, body: &str) {
        let shown = outcome.shown(EVENT);
        let found = shown.headers.iter().find(|(name, _)| name == "content-type");
        let found = found.map_or("", |(_, value)| value);
        let text = String::from_utf8(shown.body).unwrap();
        assert_eq!((shown.status, found), (status, content_type), "{outcome:?}");
        assert!(
            text.contains(body) && body.is_empty() == text.is_empty(),
            "{text}"
        );
        let event_id = ("hookrail-event-id".to_owned(), EVENT.to_string());
        assert!(shown.headers.contains(&event_id), "{outcome:?}");
    }

    fn undelivered(code: ErrorCode) -> ResponseOutcome {
        let detail = "it did not work".to_owned();
        ResponseOutcome::Undelivered(Failure { code, detail })
    }

    #[test]
    fn every_outcome_has_its_answer() {
        for status in [200, 301, 404, 500] {
            let answered = ResponseOutcome::Answered {
                status,
                headers: of_type("text/xml"),
                body: b"<a/>".to_vec(),
            };
            check(answered, status, "text/xml", "<a/>");
        }
        check(ResponseOutcome::Filtered, 204, "", "");
        check(ResponseOutcome::NoRoute, 204, "", "");
        let failed = ResponseOutcome::Failed {
            code: "mapping.unresolved".to_owned(),
            detail: "path: $.a".to_owned(),
        };
        check(
            failed,
            422,
            PROBLEM,
            r#""code":"mapping-unresolved","event_id":"evt_"#,
        );
        let first = ResponseOutcome::Duplicate { first: EVENT };
        check(first, 200, "application/json", r#"{"event_id":"evt_"#);
        let too_large = ResponseOutcome::TooLarge { limit: 10 };
        check(
            too_large,
            502,
            PROBLEM,
            r#""code":"destination-answer-too-large""#,
        );
    }

    #[test]
    fn a_destination_that_gave_no_answer_is_told_by_the_attempt_s_error() {
        for code in ErrorCode::ALL {
            let status = match code {
                ErrorCode::Timeout | ErrorCode::Expired => 504,
                ErrorCode::OverQuota => 503,
                _ => 502,
            };
            let word = code.as_str().replace('_', "-");
            check(
                undelivered(code),
                status,
                PROBLEM,
                &format!("\"code\":\"destination-{word}\""),
            );
        }
    }
}
