//! Step by step over a signed request: handshakes that need no signature, the signature, handshakes
//! that do. A request that is answered here is no event.

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use hookrail_domain::handshake::{Fitting, ReadyAnswer, Stage};
use hookrail_domain::signature::{Certificate, HeaderLookup, Mismatch, RequestFacts};
use hookrail_domain::source::SourceAuth;
use hookrail_runtime::clock::now_ms;

use crate::dedupe_key::SignedId;
use crate::intake::Intake;
use crate::refusal::Refusal;
use crate::sender_files::SenderFiles;
use crate::sender_signature::{RequestHeaders, SenderSignature};
use crate::state::Ingress;

/// The answer to a handshake that is known by the request's head: a challenge in the query, an OPTIONS.
pub(crate) fn answer_head(
    ingress: &Ingress,
    intake: &Intake,
    request: &HttpRequest,
    query: &[(String, String)],
) -> Option<ReadyAnswer> {
    let signature = intake.signature.as_ref()?;
    let headers = RequestHeaders(request.headers());
    let trusted = &ingress.settings.ingress_trusted_proxies;
    let facts = signature.facts(request, &headers, query, trusted);
    let now = now_ms();
    let is_secret = |text: &str| signature.verifier.is_secret(text, now);
    let fitting = signature.handshakes.answer(Stage::Head, &facts, None, &is_secret);
    fitting.map(|fitting| fitting.answer)
}

/// What a request is that its sender signed, or needn't have.
pub(crate) enum Verified {
    /// Something that the sender wants to know, with the answer.
    Handshake(ReadyAnswer),
    /// An event, with its id where the sender signed one.
    Event(Option<SignedId>),
}

/// Verifies the request.
///
/// # Errors
/// The part that does not match, for the source's owner, or what could not be fetched to know.
pub(crate) async fn verify_signature(
    ingress: &Ingress,
    intake: &Intake,
    request: &HttpRequest,
    query: &[(String, String)],
    body: &[u8],
) -> Result<Verified, Refusal> {
    let spec = &intake.source.spec;
    let Some(signature) = &intake.signature else {
        return match spec.auth {
            // A definition of a newer version: letting nobody in is the safe side.
            SourceAuth::Signature { .. } => Err(Refusal::Unauthorized(
                "this version does not know the scheme".into(),
            )),
            _ => Ok(Verified::Event(None)),
        };
    };
    let files = &ingress.sender_files;
    let headers = RequestHeaders(request.headers());
    let trusted = &ingress.settings.ingress_trusted_proxies;
    let content_type = headers.header(CONTENT_TYPE.as_str());
    let facts =
        signature
            .facts(request, &headers, query, trusted)
            .with_body(body, content_type, spec.body_format);
    let now = now_ms();
    let is_secret = |text: &str| signature.verifier.is_secret(text, now);
    let unsigned = signature.handshakes.answer(Stage::Body, &facts, None, &is_secret);
    if let Some(fitting) = unsigned {
        return Ok(Verified::Handshake(fitting.answer));
    }
    let refused = |mismatch: Mismatch| refusal(signature, &mismatch);
    let certificate = certificate(files, signature, &facts, now).await?;
    let verified = signature.verifier.verify(&facts, certificate.as_deref(), now);
    let verified = verified.map_err(refused)?;
    let secret = signature.verifier.secret(verified.secret, now);
    match signature
        .handshakes
        .answer(Stage::Signed, &facts, secret, &is_secret)
    {
        Some(fitting) => visit(files, signature, &facts, fitting)
            .await
            .map(Verified::Handshake),
        None => Ok(Verified::Event(signature.signed_id(verified))),
    }
}

/// The certificate that the request is signed with, where the scheme has one.
async fn certificate(
    files: &SenderFiles,
    signature: &SenderSignature,
    facts: &RequestFacts<'_, RequestHeaders<'_>>,
    now: i64,
) -> Result<Option<std::sync::Arc<Certificate>>, Refusal> {
    let url = signature.verifier.certificate_url(facts, now);
    match url.map_err(|mismatch| refusal(signature, &mismatch))? {
        Some(url) => files.certificate(&url).await.map(Some),
        None => Ok(None),
    }
}

/// Fetches what the handshake says first; without that there is no answer.
async fn visit(
    files: &SenderFiles,
    signature: &SenderSignature,
    facts: &RequestFacts<'_, RequestHeaders<'_>>,
    fitting: Fitting<'_>,
) -> Result<ReadyAnswer, Refusal> {
    if let Some(remote) = fitting.visit {
        let url = remote
            .url(facts)
            .map_err(|mismatch| refusal(signature, &mismatch))?;
        files.visit(&url).await?;
    }
    Ok(fitting.answer)
}

fn refusal(signature: &SenderSignature, mismatch: &Mismatch) -> Refusal {
    Refusal::Mismatch {
        detail: mismatch.to_string(),
        is_empty: signature.empty_refusal,
    }
}
