//! `/r/{token}`: the answer to a request whose caller was told to come again. Any ingress gives it, also
//! after a restart: the token says which request, and only this installation can have made it.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::http::{Method, StatusCode};
use hookrail_runtime::Problem;

use crate::answer;
use crate::refusal::Refusal;
use crate::response_answer::{LATE_PREFIX, answered};
use crate::state::Worker;

/// The token of a path, where it is one of late answers.
pub(crate) fn token_of(path: &str) -> Option<&str> {
    path.strip_prefix(LATE_PREFIX)
}

/// 202 while the answer is to come, then the answer; 410 when it is no longer kept, 404 for a token that
/// was never given out.
pub(crate) async fn late_answer(worker: &Worker, method: &Method, token: &str) -> HttpResponse {
    let ingress = &worker.ingress;
    let (mut answer, outcome) = match find(worker, method, token).await {
        Ok(found) => found,
        Err(refusal) => {
            ingress.metrics.count_refusal(&refusal);
            // A method that has a body: it was not read.
            return answer::refusal(&refusal, None, !matches!(refusal, Refusal::Method(_)));
        }
    };
    // What is answered now may be something else in a moment.
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    ingress.metrics.late_answers.with_label_values(&[outcome]).inc();
    answer
}

async fn find(
    worker: &Worker,
    method: &Method,
    token: &str,
) -> Result<(HttpResponse, &'static str), Refusal> {
    let request = worker.ingress.late_key.request(token).ok_or(Refusal::NotFound)?;
    if method != Method::GET && method != Method::HEAD {
        return Err(Refusal::Method("GET, HEAD".to_owned()));
    }
    let response = worker.broker.response(request).await;
    match response.map_err(|error| Refusal::NotLookedUp(error.to_string()))? {
        Some(response) => {
            let outcome = response
                .outcome
                .as_ref()
                .map_or("pending", |outcome| outcome.as_str());
            Ok((answered(response, None), outcome))
        }
        None => {
            let title = "The answer is no longer kept";
            Ok((
                Problem::new(StatusCode::GONE, "answer-expired", title).to_response(),
                "expired",
            ))
        }
    }
}
