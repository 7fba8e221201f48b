//! `If-Match`: a write goes through only where the definition is still the one that was read.

use actix_web::HttpRequest;
use actix_web::http::header::IF_MATCH;
use hookrail_store::DefinitionRow;

use crate::definition::etag;
use crate::error::ApiError;

/// Refuses where `If-Match` is given and names another version (RFC 9110, section 13.1.1).
pub(crate) fn check(request: &HttpRequest, row: &DefinitionRow) -> Result<(), ApiError> {
    let mut wanted = request.headers().get_all(IF_MATCH).peekable();
    if wanted.peek().is_none() {
        return Ok(());
    }
    let current = format!("\"{}\"", etag(row));
    let tags = wanted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let matches = tags.map(str::trim).any(|tag| tag == "*" || tag == current);
    if matches {
        Ok(())
    } else {
        Err(ApiError::PreconditionFailed)
    }
}
