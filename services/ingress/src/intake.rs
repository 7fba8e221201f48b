//! What a source's definition means for a request, worked out once per version of the source.

use std::sync::Arc;

use hookrail_domain::jsonpath::PlainPath;
use hookrail_domain::jwt::JwtKey;
use hookrail_domain::source::{Acknowledgement, KeyPlace, OrderingMode, Source, SourceAuth, SourceMethod};
use hookrail_domain::wellformed::KeyPaths;

use crate::sender_signature::SenderSignature;

/// What a source wants of its requests.
pub(crate) struct Intake {
    /// The source, as the snapshot has it.
    pub(crate) source: Arc<Source>,
    /// Its id as text.
    pub(crate) id: String,
    /// The header that carries its API key, in lower case.
    pub(crate) key_header: Option<String>,
    /// The query parameter that carries its API key.
    pub(crate) key_query: Option<String>,
    /// The public key that its senders' tokens are signed with.
    pub(crate) public_key: Option<JwtKey>,
    /// The `WWW-Authenticate` header of 401, where the way to authenticate has one.
    pub(crate) challenge: Option<&'static str>,
    /// What it keeps in order.
    pub(crate) order: Order,
    /// Where its sender's id of an event is, where repetitions are looked for.
    pub(crate) dedupe: Option<KeyPlace>,
    /// Which of its keys are in the body.
    pub(crate) paths: KeyPaths,
    /// The `Allow` header of 405.
    pub(crate) allow: String,
    /// Its signature scheme.
    pub(crate) signature: Option<SenderSignature>,
    /// The answer in the place of 202's: its own, else its scheme's.
    pub(crate) acknowledgement: Option<Acknowledgement>,
}

/// What of a source is kept in order.
pub(crate) enum Order {
    /// Nothing.
    None,
    /// All its events.
    Source,
    /// Its events with the same key, found here.
    Key(KeyPlace),
}

impl Intake {
    /// Works out what `source` wants.
    pub(crate) fn of(source: &Arc<Source>) -> Self {
        let (header, query) = source.spec.auth.key_places();
        let order = Order::of(source);
        let dedupe = &source.spec.dedupe;
        let dedupe = dedupe.key.clone().filter(|_| dedupe.enabled);
        let methods: Vec<_> = source.spec.methods.iter().map(|m| m.as_str()).collect();
        Self {
            id: source.id.to_string(),
            key_header: header.map(str::to_ascii_lowercase),
            key_query: query.map(str::to_owned),
            public_key: public_key(&source.spec.auth),
            challenge: challenge(&source.spec.auth),
            paths: KeyPaths {
                ordering: order.place().and_then(plain_path),
                dedupe: dedupe.as_ref().and_then(plain_path),
            },
            order,
            dedupe,
            allow: methods.join(", "),
            signature: SenderSignature::of(&source.spec.auth),
            acknowledgement: acknowledgement(source),
            source: Arc::clone(source),
        }
    }

    /// Whether the source takes this method.
    pub(crate) fn takes(&self, method: &str) -> bool {
        let mut methods = self.source.spec.methods.iter();
        methods.any(|known: &SourceMethod| known.as_str() == method)
    }

    /// Whether a request with this method may be a handshake, once its body was read.
    pub(crate) fn may_greet(&self, method: &str) -> bool {
        let signature = self.signature.as_ref();
        signature.is_some_and(|signature| signature.handshakes.take(method))
    }
}

fn acknowledgement(source: &Source) -> Option<Acknowledgement> {
    let of_scheme = || source.spec.auth.signature()?.scheme.acknowledgement.clone();
    source.spec.acknowledgement.clone().or_else(of_scheme)
}

fn public_key(auth: &SourceAuth) -> Option<JwtKey> {
    match auth {
        SourceAuth::Jwt {
            public_key: Some(pem),
            ..
        } => JwtKey::from_pem(pem).ok(),
        _ => None,
    }
}

fn challenge(auth: &SourceAuth) -> Option<&'static str> {
    match auth {
        SourceAuth::Basic { .. } => Some(r#"Basic realm="webhooks", charset="UTF-8""#),
        SourceAuth::Bearer { .. } | SourceAuth::Jwt { .. } => Some(r#"Bearer realm="webhooks""#),
        _ => None,
    }
}

/// The path of a key that is in the body.
fn plain_path(place: &KeyPlace) -> Option<PlainPath> {
    place.path.as_ref()?.plain().cloned()
}

impl Order {
    fn place(&self) -> Option<&KeyPlace> {
        match self {
            Self::Key(place) => Some(place),
            Self::None | Self::Source => None,
        }
    }

    fn of(source: &Source) -> Self {
        let ordering = source.spec.effective_ordering();
        match (ordering.mode, ordering.key) {
            (OrderingMode::None, _) => Self::None,
            (OrderingMode::Source, _) => Self::Source,
            (OrderingMode::Key, key) => Self::Key(key.unwrap_or_default()),
        }
    }
}
