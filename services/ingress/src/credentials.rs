//! Which parts of a request are credentials: they are never stored, neither with the event nor with
//! a refused request.

use actix_web::http::header::HeaderMap;
use hookrail_domain::source::DEFAULT_KEY_HEADER;

use crate::intake::Intake;

/// Headers that hold credentials whatever the source says, in lower case.
const ALWAYS: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// The request's headers, names in lower case, without credentials and without those in `besides`.
pub(crate) fn kept_headers(intake: &Intake, headers: &HeaderMap, besides: &[&str]) -> Vec<(String, String)> {
    let key_header = intake.key_header.as_deref();
    let is_credential = |name: &str| {
        ALWAYS.contains(&name)
            || name.eq_ignore_ascii_case(DEFAULT_KEY_HEADER)
            || key_header == Some(name)
            || intake
                .signature
                .as_ref()
                .is_some_and(|signature| signature.verifier.hides_header(name))
    };
    let mut kept = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let name = name.as_str();
        if !is_credential(name) && !besides.contains(&name) {
            let value = String::from_utf8_lossy(value.as_bytes());
            kept.push((name.to_owned(), value.into_owned()));
        }
    }
    kept
}

/// The query without the API key, and without a token that stands for a signature.
pub(crate) fn kept_query(intake: &Intake, mut query: Vec<(String, String)>) -> Vec<(String, String)> {
    if let Some(name) = &intake.key_query {
        query.retain(|(known, _)| known != name);
    }
    if let Some(signature) = &intake.signature {
        query.retain(|(known, _)| !signature.verifier.hides_query(known));
    }
    query
}
