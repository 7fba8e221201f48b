//! `Idempotency-Key`: a creating request that is repeated gets the answer of the first, without secrets.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use hookrail_domain::Millis;
use hookrail_domain::api_key::hash_key;
use hookrail_domain::json::Json;
use hookrail_runtime::clock;
use hookrail_store::WriteTransaction;
use hookrail_store::idempotency::{self, RememberedAnswer, RememberedRequest, RequestKey};

use crate::answer::{self, Created};
use crate::authenticated::{Authenticated, hex};
use crate::error::ApiError;
use crate::json_body::JsonBody;
use crate::state::ConfigState;

/// How long an answer is kept, milliseconds.
pub(crate) const KEPT_MS: Millis = 24 * 3600 * 1000;
/// After how long a request without an answer counts as ended by a crash: longer than any takes (the
/// longest probe is a minute), milliseconds.
const RUNNING_AT_MOST_MS: Millis = 120_000;
/// Longest key, bytes.
const MAX_KEY_BYTES: usize = 255;

/// What the transaction of a creating request keeps with what it creates. It does nothing where the
/// request has no key.
pub(crate) struct Claim(Option<RequestKey>);

impl Claim {
    /// Keeps the answer, in the transaction of what it says.
    pub(crate) async fn keep(
        &self,
        transaction: &WriteTransaction,
        created: &Created,
    ) -> Result<(), ApiError> {
        let Some(key) = &self.0 else { return Ok(()) };
        let answer = RememberedAnswer {
            status: i64::from(created.status.as_u16()),
            location: created.location.clone(),
            body: created.repeated.to_compact_string(),
        };
        Ok(idempotency::finish(&**transaction, key, answer).await?)
    }

    /// Keeps the answer, where what it says isn't in the database.
    pub(crate) async fn keep_alone(&self, state: &ConfigState, created: &Created) -> Result<(), ApiError> {
        if self.0.is_some() {
            let transaction = state.store.write().await?;
            self.keep(&transaction, created).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// The request's key.
    pub(crate) fn key(&self) -> Option<&str> {
        self.0.as_ref().map(|key| key.idempotency_key.as_str())
    }
}

/// Runs a creating request once per key.
pub(crate) async fn once<F>(
    state: &ConfigState,
    sender: &Authenticated,
    request: &HttpRequest,
    body: &JsonBody,
    create: F,
) -> Result<HttpResponse, ApiError>
where
    F: AsyncFnOnce(Claim) -> Result<Created, ApiError>,
{
    let Some(key) = request_key(sender, request)? else {
        return Ok(create(Claim(None)).await?.to_response());
    };
    let hash = hex(&hash_key(&String::from_utf8_lossy(&body.bytes)));
    if let Some(first) = begin(state, &key, &hash).await? {
        return replay(&first, &hash);
    }
    let result = create(Claim(Some(key.clone()))).await;
    if result.is_err() {
        // It made nothing, so the same key may try again.
        let transaction = state.store.write().await?;
        idempotency::forget(&*transaction, &key).await?;
        transaction.commit().await?;
    }
    Ok(result?.to_response())
}

fn request_key(sender: &Authenticated, request: &HttpRequest) -> Result<Option<RequestKey>, ApiError> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    if text.is_empty() || text.len() > MAX_KEY_BYTES {
        return Err(ApiError::InvalidParameter(
            "Idempotency-Key has 1 to 255 visible characters".to_owned(),
        ));
    }
    Ok(Some(RequestKey {
        workspace_id: sender.workspace_id(),
        idempotency_key: text.to_owned(),
        method: request.method().to_string(),
        path: request.path().to_owned(),
    }))
}

/// Claims the key; where it was claimed before, gives that request.
async fn begin(
    state: &ConfigState,
    key: &RequestKey,
    hash: &str,
) -> Result<Option<RememberedRequest>, ApiError> {
    let now = clock::now_ms();
    let transaction = state.store.write().await?;
    if let Some(first) = idempotency::find(&*transaction, key).await? {
        let kept_ms = if first.answer.is_some() {
            KEPT_MS
        } else {
            RUNNING_AT_MOST_MS
        };
        if now - first.created_at < kept_ms {
            return Ok(Some(first));
        }
        idempotency::remove(&*transaction, key).await?;
    }
    let claimed = idempotency::begin(&*transaction, key, hash, now).await?;
    transaction.commit().await?;
    if claimed { Ok(None) } else { Err(still_running()) }
}

fn replay(first: &RememberedRequest, hash: &str) -> Result<HttpResponse, ApiError> {
    if first.body_hash != hash {
        return Err(ApiError::IdempotencyKeyReused);
    }
    let answer = first.answer.as_ref().ok_or_else(still_running)?;
    let status = u16::try_from(answer.status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok());
    let body: Json = answer.body.parse().unwrap_or_default();
    let mut response = answer::with_status(
        status.unwrap_or(StatusCode::CREATED),
        answer.location.as_deref(),
        &body,
    );
    let name = HeaderName::from_static("idempotency-replayed");
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static("true"));
    Ok(response)
}

fn still_running() -> ApiError {
    ApiError::conflict(
        "idempotency-key-in-use",
        "the first request with this key still runs",
    )
}
