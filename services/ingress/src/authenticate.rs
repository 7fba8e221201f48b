//! Knowing the sender. The answer to a failure is one and the same; what failed is told to the
//! source's owner only.

use actix_web::http::header::HeaderMap;
use hookrail_domain::api_key::find_key;
use hookrail_domain::ids::KeyId;
use hookrail_domain::source::SourceAuth;

use crate::intake::Intake;

/// Lets the sender in, with the credential that did.
///
/// # Errors
/// Which check failed, for the source's owner.
pub(crate) fn authenticate(
    intake: &Intake,
    headers: &HeaderMap,
    query: &[(String, String)],
) -> Result<Option<KeyId>, &'static str> {
    match &intake.source.spec.auth {
        SourceAuth::None => Ok(None),
        SourceAuth::ApiKey { .. } => {
            let shown = shown_key(intake, headers, query).ok_or("the request has no API key")?;
            let key = find_key(&intake.source.api_keys, shown);
            key.map(|key| Some(key.id))
                .ok_or("the API key is none of this source's")
        }
        // Known once the body is here.
        SourceAuth::Signature { .. } => Ok(None),
        // Definitions with these are refused; letting nobody in is the safe side.
        SourceAuth::Basic { .. } | SourceAuth::Bearer { .. } | SourceAuth::Jwt { .. } => {
            Err("this way to authenticate is not supported yet")
        }
    }
}

/// The key that the request shows; the header goes before the query.
fn shown_key<'a>(intake: &Intake, headers: &'a HeaderMap, query: &'a [(String, String)]) -> Option<&'a str> {
    let header = intake.key_header.as_deref().and_then(|name| headers.get(name));
    let in_header = header.and_then(|value| value.to_str().ok());
    in_header.or_else(|| {
        let name = intake.key_query.as_deref()?;
        query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    })
}
