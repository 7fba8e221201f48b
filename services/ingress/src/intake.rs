//! What a source's definition means for a request, worked out once per version of the source.

use std::sync::Arc;

use hookrail_domain::source::{Acknowledgement, KeyPlace, OrderingMode, Source, SourceMethod};

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
    /// What it keeps in order.
    pub(crate) order: Order,
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
        let methods: Vec<_> = source.spec.methods.iter().map(|m| m.as_str()).collect();
        Self {
            id: source.id.to_string(),
            key_header: header.map(str::to_ascii_lowercase),
            key_query: query.map(str::to_owned),
            order: Order::of(source),
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

impl Order {
    fn of(source: &Source) -> Self {
        let ordering = source.spec.effective_ordering();
        match (ordering.mode, ordering.key) {
            (OrderingMode::None, _) => Self::None,
            (OrderingMode::Source, _) => Self::Source,
            (OrderingMode::Key, key) => Self::Key(key.unwrap_or_default()),
        }
    }
}
