//! What clients may write of a destination besides its fields as they are shown.

use hookrail_domain::destination::DestinationSpec;
use hookrail_domain::json::Json;
use hookrail_runtime::clock;

use crate::definition::Definable;
use crate::error::ApiError;
use crate::json_body::read_json;
use crate::state::ConfigState;

/// A new destination's fields, checked.
pub(crate) fn new_spec(body: &Json) -> Result<DestinationSpec, ApiError> {
    let spec: DestinationSpec = read_json(&with_secret_list(body.clone()))?;
    spec.check()?;
    Ok(spec)
}

/// `"signing": {"secret": …}` is short for a list of one.
pub(crate) fn with_secret_list(mut body: Json) -> Json {
    if let Json::Object(members) = &mut body
        && let Some(Json::Object(signing)) = members.get_mut("signing")
        && !signing.contains_key("secrets")
        && let Some(secret) = signing.shift_remove("secret")
    {
        signing.insert("secrets".to_owned(), Json::Array(vec![secret]));
    }
    body
}

/// Refuses URLs that could never be called, and certificates that can't be used, whether it is probed or not.
pub(crate) fn check_outbound(state: &ConfigState, spec: &DestinationSpec) -> Result<(), ApiError> {
    match state.outbound.faults_of(spec, clock::now_ms()) {
        faults if faults.is_empty() => Ok(()),
        faults => Err(ApiError::Invalid(faults)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_secret_is_a_list_of_one() {
        let short: Json = r#"{"signing":{"type":"standard_webhooks","secret":"a"}}"#
            .parse()
            .unwrap();
        let list = r#"{"signing":{"type":"standard_webhooks","secrets":["a"]}}"#;
        assert_eq!(with_secret_list(short).to_compact_string(), list);
        assert_eq!(with_secret_list(Json::Null), Json::Null);
    }
}
