//! The secrets with which a destination's requests are signed, made where its owner gave none.

use hookrail_domain::destination::{DestinationSpec, Signing, SigningAlgorithm, check_standard};
use hookrail_domain::json::Json;
use hookrail_domain::secret::Secret;
use hookrail_domain::signature::{PrivateKey, format_standard_secret};
use hookrail_runtime::random;

use crate::authenticated::hex;

/// Bytes of a secret that is made here: what Standard Webhooks recommends is 24 to 64.
const SECRET_BYTES: usize = 32;

/// What the secrets of a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretForm {
    /// What the sender gave: none can be made here.
    Given,
    /// Any text: it is the key.
    Text,
    /// As Standard Webhooks has it.
    Standard(SigningAlgorithm),
}

impl SecretForm {
    /// The text of a new secret, where one can be made.
    pub(crate) fn make(self) -> Option<String> {
        let drawn = random::bytes::<SECRET_BYTES>();
        match self {
            Self::Given => None,
            Self::Text => Some(hex(&drawn)),
            Self::Standard(SigningAlgorithm::HmacSha256) => Some(format_standard_secret(&drawn)),
            Self::Standard(SigningAlgorithm::Ed25519) => Some(PrivateKey::format(&drawn)),
        }
    }

    /// Refuses a text that can't be such a secret, in words.
    pub(crate) fn check(self, secret: &str) -> Result<(), String> {
        match self {
            Self::Given | Self::Text => Ok(()),
            Self::Standard(algorithm) => check_standard(algorithm, secret).map_err(|error| error.to_string()),
        }
    }
}

/// The secrets of a destination's signatures, and what they are.
pub(crate) fn list(signing: &mut Signing) -> Option<(&mut Vec<Secret>, SecretForm)> {
    match signing {
        Signing::None => None,
        Signing::StandardWebhooks {
            algorithm, secrets, ..
        } => Some((secrets, SecretForm::Standard(*algorithm))),
        Signing::Hmac { secrets, .. } => Some((secrets, SecretForm::Text)),
    }
}

/// Makes a secret where there is none to sign with; gives its text.
pub(crate) fn ensure(spec: &mut DestinationSpec) -> Option<String> {
    let (secrets, form) = list(&mut spec.signing)?;
    if !secrets.is_empty() {
        return None;
    }
    let text = form.make()?;
    secrets.push(Secret::new(text.as_str()));
    Some(text)
}

/// The answer with the secret that was just made in clear, in the item of `signing.secrets` that it is.
pub(crate) fn with_secret_shown(mut body: Json, spec: &DestinationSpec, made: Option<String>) -> Json {
    let secrets = match &spec.signing {
        Signing::StandardWebhooks { secrets, .. } | Signing::Hmac { secrets, .. } => secrets.as_slice(),
        Signing::None => &[],
    };
    let Some(text) = made else { return body };
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
