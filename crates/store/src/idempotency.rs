//! Answers of creating requests, kept so that a repeated request gets the same one.

use hookrail_domain::Millis;
use sea_orm::{ConnectionTrait, QueryResult};

use crate::StoreError;
use crate::statement::{change, column, first};

/// Which request an answer belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// The workspace that it acts in.
    pub workspace_id: String,
    /// What its sender calls it.
    pub idempotency_key: String,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
}

impl RequestKey {
    fn values(&self) -> Vec<sea_orm::Value> {
        [
            &self.workspace_id,
            &self.idempotency_key,
            &self.method,
            &self.path,
        ]
        .map(|text| text.as_str().into())
        .to_vec()
    }
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedRequest {
    /// SHA-256 of its body, lower-case hex.
    pub body_hash: String,
    /// Its answer; `None` while it runs.
    pub answer: Option<RememberedAnswer>,
    /// When it came.
    pub created_at: Millis,
}

/// An answer without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedAnswer {
    /// Its status.
    pub status: i64,
    /// Its `Location`.
    pub location: Option<String>,
    /// Its body, JSON.
    pub body: String,
}

/// Notes that a request begins; false where it is known already.
///
/// # Errors
/// When the database refuses.
pub async fn begin<C: ConnectionTrait>(
    connection: &C,
    key: &RequestKey,
    body_hash: &str,
    now: Millis,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO idempotency (workspace_id, idempotency_key, method, path, body_hash, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    let mut values = key.values();
    values.extend([body_hash.into(), now.into()]);
    Ok(change(connection, sql, values).await? == 1)
}

/// What is known of a request.
///
/// # Errors
/// When the database can't be read.
pub async fn find<C: ConnectionTrait>(
    connection: &C,
    key: &RequestKey,
) -> Result<Option<RememberedRequest>, StoreError> {
    let sql = "SELECT body_hash, status, location, answer, created_at FROM idempotency \
               WHERE workspace_id = $1 AND idempotency_key = $2 AND method = $3 AND path = $4";
    first(connection, sql, key.values())
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Keeps a request's answer, in the transaction of what it did.
///
/// # Errors
/// When the database refuses.
pub async fn finish<C: ConnectionTrait>(
    connection: &C,
    key: &RequestKey,
    answer: RememberedAnswer,
) -> Result<(), StoreError> {
    let sql = "UPDATE idempotency SET status = $5, location = $6, answer = $7 \
               WHERE workspace_id = $1 AND idempotency_key = $2 AND method = $3 AND path = $4";
    let mut values = key.values();
    values.extend([answer.status.into(), answer.location.into(), answer.body.into()]);
    change(connection, sql, values).await?;
    Ok(())
}

/// Forgets a request that did nothing.
///
/// # Errors
/// When the database refuses.
pub async fn forget<C: ConnectionTrait>(connection: &C, key: &RequestKey) -> Result<(), StoreError> {
    let sql = "DELETE FROM idempotency \
               WHERE workspace_id = $1 AND idempotency_key = $2 AND method = $3 AND path = $4 AND status IS NULL";
    change(connection, sql, key.values()).await?;
    Ok(())
}

/// Forgets a request, whatever became of it.
///
/// # Errors
/// When the database refuses.
pub async fn remove<C: ConnectionTrait>(connection: &C, key: &RequestKey) -> Result<(), StoreError> {
    let sql = "DELETE FROM idempotency \
               WHERE workspace_id = $1 AND idempotency_key = $2 AND method = $3 AND path = $4";
    change(connection, sql, key.values()).await?;
    Ok(())
}

/// Forgets all requests that came before a time.
///
/// # Errors
/// When the database refuses.
pub async fn forget_before<C: ConnectionTrait>(connection: &C, time: Millis) -> Result<u64, StoreError> {
    change(
        connection,
        "DELETE FROM idempotency WHERE created_at < $1",
        vec![time.into()],
    )
    .await
}

fn read(row: &QueryResult) -> Result<RememberedRequest, StoreError> {
    let status: Option<i64> = column(row, "status")?;
    let body: Option<String> = column(row, "answer")?;
    let location = column(row, "location")?;
    let answer = status.zip(body).map(|(status, body)| RememberedAnswer {
        status,
        location,
        body,
    });
    Ok(RememberedRequest {
        body_hash: column(row, "body_hash")?,
        answer,
        created_at: column(row, "created_at")?,
    })
}
