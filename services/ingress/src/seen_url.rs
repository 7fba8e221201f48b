//! A request's URL as its sender wrote it, as far as that is seen here.
//!
//! Behind a proxy that is not trusted, or that writes paths anew, it is another one; a source's
//! `public_url` then says what it is.

use actix_web::HttpRequest;
use hookrail_domain::signature::RequestUrl;
use hookrail_runtime::forwarded::seen_origin;
use ipnet::IpNet;

/// The request's URL.
pub(crate) fn seen_url<'a>(request: &'a HttpRequest, trusted: &[IpNet]) -> RequestUrl<'a> {
    let (scheme, authority) = seen_origin(request, trusted);
    RequestUrl {
        scheme,
        authority,
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
    }
}
