//! RFC 9457 problem documents: how every HTTP error of Hookrail looks. Which errors there are is each service's own.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::Serialize;
use serde_json::{Map, Value};

/// The media type of RFC 9457, 3.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// One problem document. `code` is stable: clients may depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    pub type_uri: String,
    pub title: String,
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    pub code: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemField>,
    /// Extension members (RFC 9457, 3.2), as `attempt` of a failed probe.
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

/// One field that failed validation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProblemField {
    /// A JSON pointer (RFC 6901) into the request's body.
    pub pointer: String,
    pub detail: String,
    /// A stable cause where clients act on it, as `ordering-lost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
}

impl Problem {
    /// A problem of a kind: `code` in kebab-case is what clients tell kinds apart by, `title` is the same for all of a kind.
    #[must_use]
    pub fn new(status: StatusCode, code: &str, title: &str) -> Self {
        Self {
            type_uri: format!("urn:hookrail:problem:{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: None,
            code: code.to_owned(),
            errors: Vec::new(),
            members: Map::new(),
        }
    }

    /// Says what went wrong this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a field that failed validation.
    #[must_use]
    pub fn field(mut self, field: ProblemField) -> Self {
        self.errors.push(field);
        self
    }

    /// Adds an extension member.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// The document as an HTTP answer; headers like `Retry-After` are added by the caller.
    #[must_use]
    pub fn to_response(&self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(self).expect("a problem document has string keys only");
        HttpResponse::build(status).content_type(CONTENT_TYPE).body(body)
    }
}

impl Responder for Problem {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        self.to_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(pointer: &str, detail: &str, code: Option<&'static str>) -> ProblemField {
        ProblemField {
            pointer: pointer.to_owned(),
            detail: detail.to_owned(),
            code,
        }
    }

    #[test]
    fn a_problem_shows_its_members_in_a_stable_order() {
        let problem = Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-fields",
            "Some fields are invalid",
        )
        .detail("1 field")
        .field(field("/entity/path", "not a JSONPath", None))
        .field(field("/ordering", "lost", Some("ordering-lost")))
        .member("attempt", 1);
        let text = serde_json::to_string(&problem).unwrap();
        assert_eq!(
            text,
            r#"{"type":"urn:hookrail:problem:invalid-fields","title":"Some fields are invalid","status":422,"detail":"1 field","code":"invalid-fields","errors":[{"pointer":"/entity/path","detail":"not a JSONPath"},{"pointer":"/ordering","detail":"lost","code":"ordering-lost"}],"attempt":1}"#
        );
    }

    #[test]
    fn the_answer_has_the_status_and_the_media_type() {
        let response = Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found").to_response();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers().get("content-type").unwrap(), CONTENT_TYPE);
    }
}
