//! Successful answers.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, ETAG, LOCATION};
use hookrail_domain::json::Json;

/// What a creating request made.
#[derive(Debug, Clone)]
pub(crate) struct Created {
    /// 201, or 202 and 200 for what is to be processed.
    pub(crate) status: StatusCode,
    /// Its URL's path, where it has one.
    pub(crate) location: Option<String>,
    /// The answer.
    pub(crate) body: Json,
    /// The answer when the request is repeated: without secrets.
    pub(crate) repeated: Json,
}

impl Created {
    /// Without secrets: the same answer each time.
    pub(crate) fn plain(location: String, body: Json) -> Self {
        Self {
            status: StatusCode::CREATED,
            location: Some(location),
            repeated: body.clone(),
            body,
        }
    }

    /// Taken, and to be processed later.
    pub(crate) fn accepted(status: StatusCode, body: Json) -> Self {
        Self {
            status,
            location: None,
            repeated: body.clone(),
            body,
        }
    }

    /// The answer.
    pub(crate) fn to_response(&self) -> HttpResponse {
        with_status(self.status, self.location.as_deref(), &self.body)
    }
}

/// 200 with JSON, and its `etag` member as a header.
pub(crate) fn json(body: &Json) -> HttpResponse {
    with_status(StatusCode::OK, None, body)
}

/// Any status with JSON.
pub(crate) fn with_status(status: StatusCode, location: Option<&str>, body: &Json) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.content_type(ContentType::json());
    if let Some(etag) = body.get("etag").and_then(Json::as_str) {
        response.insert_header((ETAG, format!("\"{etag}\"")));
    }
    if let Some(location) = location {
        response.insert_header((LOCATION, location));
    }
    response.body(body.to_compact_vec())
}
