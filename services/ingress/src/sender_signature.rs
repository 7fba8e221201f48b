//! What a source's signature scheme means for its requests, worked out once per version of the source.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use hookrail_domain::handshake::Handshakes;
use hookrail_domain::signature::{HeaderLookup, RequestFacts, Verified, Verifier};
use hookrail_domain::source::SourceAuth;
use ipnet::IpNet;

use crate::dedupe_key::SignedId;
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

    /// The sender's id of a message, where a time is signed with it: for so long as that is good, the same
    /// request could be played again.
    pub(crate) fn signed_id(&self, verified: Verified) -> Option<SignedId> {
        verified.signed_at?;
        // Its time may be as far ahead as behind.
        let tolerance_s = self.verifier.tolerance_s().saturating_mul(2);
        verified.id.map(|id| SignedId { id, tolerance_s })
    }

    /// The facts of a request without its body.
    pub(crate) fn facts<'a>(
        &'a self,
        request: &'a HttpRequest,
        headers: &'a RequestHeaders<'a>,
        query: &'a [(String, String)],
        trusted: &[IpNet],
    ) -> RequestFacts<'a, RequestHeaders<'a>> {
        let url = self.verifier.url(seen_url(request, trusted));
        RequestFacts::new(request.method().as_str(), url, headers, query)
    }
}

/// A request's headers, for looking them up.
pub(crate) struct RequestHeaders<'a>(pub(crate) &'a HeaderMap);

impl HeaderLookup for RequestHeaders<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }
}
