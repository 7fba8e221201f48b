//! Attempts: each HTTP call made for a delivery, keyed so that one that is reported twice counts once.

use std::collections::BTreeMap;

use hookrail_domain::journal::AttemptRecord;
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use crate::{StoreError, rows};

/// An attempt as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct AttemptRow {
    /// The delivery.
    pub delivery: String,
    /// The epoch of the owner that made it.
    pub epoch: i64,
    /// Its number, from 1.
    pub number: i64,
    /// When it started, milliseconds.
    pub started_at: i64,
    /// How long it took, milliseconds.
    pub duration_ms: i64,
    /// The request's method.
    pub method: String,
    /// The request's URL.
    pub url: String,
    /// The request's headers: a JSON array of pairs.
    pub request_headers: String,
    /// The answer's status.
    pub status: Option<i64>,
    /// The answer's headers: a JSON array of pairs.
    pub response_headers: String,
    /// The answer's first bytes.
    pub response_body: Vec<u8>,
    /// Why it failed.
    pub error_code: Option<String>,
    /// Why it failed, for people.
    pub error_detail: Option<String>,
}

/// The columns of an [`AttemptRow`].
pub const COLUMNS: &str = "delivery, epoch, number, started_at, duration_ms, method, url, request_headers, status, \
     response_headers, response_body, error_code, error_detail";

/// Stores attempts; those that are known already stay as they are.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn insert<C: ConnectionTrait>(
    connection: &C,
    records: &[AttemptRecord],
) -> Result<u64, StoreError> {
    let by_key: BTreeMap<_, _> = records
        .iter()
        .map(|record| {
            (
                (record.delivery.id, record.attempt.epoch, record.attempt.number),
                record,
            )
        })
        .collect();
    let rows = by_key.into_values().map(row).collect();
    let tail = "ON CONFLICT (delivery, epoch, number) DO NOTHING";
    rows::insert(connection, &format!("attempts ({COLUMNS})"), rows, tail).await
}

fn row(record: &AttemptRecord) -> Vec<Value> {
    let attempt = &record.attempt;
    let failure = attempt.failure.as_ref();
    vec![
        rows::id(record.delivery.id),
        rows::number(attempt.epoch),
        rows::number(attempt.number),
        attempt.started_at.into(),
        rows::number(attempt.duration_ms),
        rows::text(&attempt.method),
        rows::text(&attempt.url),
        pairs(&attempt.request_headers),
        attempt.status.map(i64::from).into(),
        pairs(&attempt.response_headers),
        attempt.response_body.clone().into(),
        rows::text_or_null(failure.map(|failure| failure.code.as_str())),
        rows::text_or_null(failure.map(|failure| &failure.detail)),
    ]
}

/// Headers as JSON text; serde_json escapes NUL.
pub(crate) fn pairs(pairs: &[(String, String)]) -> Value {
    serde_json::to_string(pairs)
        .expect("pairs of text are JSON")
        .into()
}
