//! The secret with which a destination's requests are signed, made where its owner gave none.

use hookrail_domain::destination::{DestinationSpec, Signing};
use hookrail_domain::json::Json;
use hookrail_domain::secret::Secret;
use hookrail_domain::signature::format_standard_secret;
use hookrail_runtime::random;

/// Bytes of a secret that is made here: what Standard Webhooks recommends is 24 to 64.
const SECRET_BYTES: usize = 32;

/// Makes a secret where Standard Webhooks has none; gives its text.
pub(crate) fn ensure(spec: &mut DestinationSpec) -> Option<String> {
    match &mut spec.signing {
        Signing::StandardWebhooks { secrets, .. } if secrets.is_empty() => {
            let text = make();
            secrets.push(Secret::new(text.as_str()));
            Some(text)
        }
        _ => None,
    }
}

/// The text of a new secret.
pub(crate) fn make() -> String {
    format_standard_secret(&random::bytes::<SECRET_BYTES>())
}

/// The answer with the secret that was just made in clear, in the item of `signing.secrets` that it is.
pub(crate) fn with_secret_shown(mut body: Json, spec: &DestinationSpec, made: Option<String>) -> Json {
    let (Some(text), Signing::StandardWebhooks { secrets, .. }) = (made, &spec.signing) else {
        return body;
    };
    let place = secrets
        .iter()
        .position(|secret| secret.value.as_deref() == Some(text.as_str()));
    if let Json::Object(members) = &mut body
        && let Some(Json::Object(signing)) = members.get_mut("signing")
        && let Some(Json::Array(items)) = signing.get_mut("secrets")
        && let Some(Json::Object(item)) = place.and_then(|place| items.get_mut(place))
    {
        item.insert("secret".to_owned(), text.into());
    }
    body
}
