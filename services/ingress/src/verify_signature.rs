//! Step by step over a signed request: handshakes that need no signature, the signature, handshakes
//! that do. A request that is answered here is no event.

use actix_web::HttpRequest;
use hookrail_domain::handshake::{Fitting, ReadyAnswer, Stage};
use hookrail_domain::signature::{Certificate, Mismatch, RequestFacts};
use hookrail_domain::source::SourceAuth;
use hookrail_runtime::clock::now_ms;

use crate::intake::Intake;
use crate::refusal::Refusal;
use crate::sender_files::SenderFiles;
use crate::sender_signature::{RequestHeaders, SenderSignature};

/// The answer to a handshake that is known by the request's head: a challenge in the query, an OPTIONS.
pub(crate) fn answer_head(
    intake: &Intake,
    request: &HttpRequest,
    query: &[(String, String)],
) -> Option<ReadyAnswer> {
    let signature = intake.signature.as_ref()?;
    let headers = RequestHeaders(request.headers());
    let facts = signature.facts(request, &headers, query);
    let now = now_ms();
    let is_secret = |text: &str| signature.verifier.is_secret(text, now);
    let secret = signature.verifier.secret(None, now);
    let fitting = signature
        .handshakes
        .answer(Stage::Head, &facts, secret, &is_secret);
    fitting.map(|fitting| fitting.answer)
}

/// Verifies the request; gives the answer to a handshake where it is one.
///
/// # Errors
/// The part that does not match, for the source's owner, or what could not be fetched to know.
pub(crate) async fn verify_signature(
    files: &SenderFiles,
    intake: &Intake,
    request: &HttpRequest,
    query: &[(String, String)],
    body: &[u8],
) -> Result<Option<ReadyAnswer>, Refusal> {
    let spec = &intake.source.spec;
    let Some(signature) = &intake.signature else {
        return match spec.auth {
            // A definition of a newer version: letting nobody in is the safe side.
            SourceAuth::Signature { .. } => {
                Err(Refusal::Unauthorized("this version does not know the scheme"))
            }
            _ => Ok(None),
        };
    };
    let headers = RequestHeaders(request.headers());
    let facts = signature.facts_with_body(spec, request, &headers, query, body);
    let now = now_ms();
    let is_secret = |text: &str| signature.verifier.is_secret(text, now);
    let unsigned = signature.handshakes.answer(Stage::Body, &facts, None, &is_secret);
    if let Some(fitting) = unsigned {
        return Ok(Some(fitting.answer));
    }
    let refused = |mismatch: Mismatch| refusal(signature, &mismatch);
    let certificate = certificate(files, signature, &facts, now).await?;
    let verified = signature.verifier.verify(&facts, certificate.as_deref(), now);
    let secret = signature.verifier.secret(verified.map_err(refused)?.secret, now);
    match signature
        .handshakes
        .answer(Stage::Signed, &facts, secret, &is_secret)
    {
        Some(fitting) => visit(files, signature, &facts, fitting).await.map(Some),
        None => Ok(None),
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
