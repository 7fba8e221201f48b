//! Gives errors that no handler made (an unknown path, a method that a path doesn't take, an extractor
//! of the framework) a problem document too.

use actix_web::ResponseError;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE};
use actix_web::middleware::Next;
use hookrail_runtime::{Problem, problem};

use crate::error::ApiError;

/// The outermost middleware.
pub(crate) async fn problem_bodies(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let response = next.call(request).await?;
    if !response.status().is_client_error() && !response.status().is_server_error() {
        return Ok(response.map_into_boxed_body());
    }
    let is_problem = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|t| t == problem::CONTENT_TYPE);
    if is_problem {
        return Ok(response.map_into_boxed_body());
    }
    let answer = match response.status() {
        StatusCode::NOT_FOUND => ApiError::NotFound("path").error_response(),
        StatusCode::METHOD_NOT_ALLOWED => ApiError::MethodNotAllowed(allowed(&response)).error_response(),
        status => {
            Problem::new(status, "refused", status.canonical_reason().unwrap_or("Refused")).to_response()
        }
    };
    Ok(response.into_response(answer))
}

/// The methods that the path takes, each once. The framework gives them one header each.
fn allowed<B>(response: &ServiceResponse<B>) -> String {
    let values = response
        .headers()
        .get_all(ALLOW)
        .filter_map(|value| value.to_str().ok());
    let mut methods: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}
