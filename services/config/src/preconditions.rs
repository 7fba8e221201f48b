//! `If-Match`: a write goes through only where the definition is still the one that was read.

use actix_web::HttpRequest;
use actix_web::http::header::IF_MATCH;
use hookrail_store::DefinitionRow;

use crate::definition::etag;
use crate::error::ApiError;

/// Refuses where `If-Match` is given and names another version (RFC 9110, section 13.1.1). A version
/// may be named as the `etag` field has it, without quotes, or as a weak one: a definition's versions
/// differ wherever their bytes do.
pub(crate) fn check(request: &HttpRequest, row: &DefinitionRow) -> Result<(), ApiError> {
    let mut wanted = request.headers().get_all(IF_MATCH).peekable();
    if wanted.peek().is_none() {
        return Ok(());
    }
    let current = etag(row);
    let tags = wanted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let matches = tags.map(bare).any(|tag| tag == "*" || tag == current);
    if matches {
        Ok(())
    } else {
        Err(ApiError::PreconditionFailed)
    }
}

/// A tag without its quotes and its mark of weakness.
fn bare(tag: &str) -> &str {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let quoted = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    quoted.unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_may_be_quoted_bare_or_weak() {
        for tag in ["r5", "\"r5\"", " W/\"r5\" ", "W/r5"] {
            assert_eq!(bare(tag), "r5", "{tag}");
        }
        for other in ["\"r5", "w/r5", "\"r6\"", ""] {
            assert_ne!(bare(other), "r5", "{other}");
        }
    }
}
