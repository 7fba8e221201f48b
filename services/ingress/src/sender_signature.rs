//! What a source's signature scheme means for its requests, worked out once per version of the source.

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use hookrail_domain::handshake::Handshakes;
use hookrail_domain::signature::{HeaderLookup, RequestFacts, Verifier};
use hookrail_domain::source::{SourceAuth, SourceSpec};

use crate::seen_url::seen_url;

/// A source's signature scheme, ready.
pub(crate) struct SenderSignature {
    pub(crate) verifier: Verifier,
    pub(crate) handshakes: Handshakes,
    /// Whether a 401 has no body.
    pub(crate) empty_refusal: bool,
}

impl SenderSignature {
    /// The scheme of a source; `None` where senders are known otherwise.
    pub(crate) fn of(auth: &SourceAuth) -> Option<Self> {
        let signature = auth.signature()?;
        Some(Self {
            verifier: Verifier::new(signature.scheme, signature.secrets),
            handshakes: Handshakes::new(&signature.scheme.handshakes),
            empty_refusal: signature.scheme.empty_refusal,
        })
    }

    /// The facts of a request without its body.
    pub(crate) fn facts<'a>(
        &'a self,
        request: &'a HttpRequest,
        headers: &'a RequestHeaders<'a>,
        query: &'a [(String, String)],
    ) -> RequestFacts<'a, RequestHeaders<'a>> {
        let url = self.verifier.url(seen_url(request));
        RequestFacts::new(request.method().as_str(), url, headers, query)
    }

    /// The facts of a request with its body.
    pub(crate) fn facts_with_body<'a>(
        &'a self,
        spec: &SourceSpec,
        request: &'a HttpRequest,
        headers: &'a RequestHeaders<'a>,
        query: &'a [(String, String)],
        body: &'a [u8],
    ) -> RequestFacts<'a, RequestHeaders<'a>> {
        let content_type = headers.header(CONTENT_TYPE.as_str());
        let facts = self.facts(request, headers, query);
        facts.with_body(body, content_type, spec.body_format)
    }
}

/// A request's headers, for looking them up.
pub(crate) struct RequestHeaders<'a>(pub(crate) &'a HeaderMap);

impl HeaderLookup for RequestHeaders<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }
}
