//! A request's URL as its sender wrote it, as far as that is seen here.
//!
//! Behind a proxy that ends TLS or writes paths anew it is another one; a source's `public_url` then
//! says what it is.

use actix_web::HttpRequest;
use actix_web::http::header::HOST;
use hookrail_domain::signature::RequestUrl;

/// The request's URL.
pub(crate) fn seen_url(request: &HttpRequest) -> RequestUrl<'_> {
    let (scheme, authority) = origin(request);
    RequestUrl {
        scheme,
        authority,
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
    }
}

/// Scheme and host by which the sender reached us.
fn origin(request: &HttpRequest) -> (&'static str, &str) {
    let scheme = if request.app_config().secure() {
        "https"
    } else {
        "http"
    };
    let named = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let authority = named.or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    (scheme, authority.unwrap_or_default())
}
