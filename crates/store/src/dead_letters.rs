//! Dead letters: deliveries that used up their retries, with their bodies, until they are replayed or
//! expire. What else a replay needs is in their rows of `deliveries`.

use std::collections::BTreeMap;

use hookrail_domain::{Millis, delivery::Delivery, event::Body, ids::DeliveryId};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use crate::{StoreError, rows};

/// A dead letter as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct DeadLetterRow {
    /// The delivery.
    pub delivery: String,
    /// Its workspace.
    pub workspace: String,
    /// Where it should have gone.
    pub destination: String,
    /// When it died, milliseconds.
    pub died_at: i64,
    /// The body's content type.
    pub content_type: Option<String>,
    /// The body, where it is small enough to be here.
    pub body: Option<Vec<u8>>,
    /// The object that holds it otherwise.
    pub body_object: Option<String>,
    /// The body's size, bytes.
    pub size: i64,
    /// The revision under which it was planned.
    pub revision: i64,
    /// Its trace.
    pub traceparent: String,
}

/// The columns of a [`DeadLetterRow`].
pub const COLUMNS: &str =
    "delivery, workspace, destination, died_at, content_type, body, body_object, size, revision, traceparent";

/// Stores dead letters; of one that dies again the newer time is kept.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn insert<C: ConnectionTrait>(
    connection: &C,
    dead: &[(&Delivery, Millis)],
) -> Result<u64, StoreError> {
    let by_id: BTreeMap<DeliveryId, (&Delivery, Millis)> = dead
        .iter()
        .map(|(delivery, at)| (delivery.id, (*delivery, *at)))
        .collect();
    let rows = by_id
        .into_values()
        .map(|(delivery, at)| row(delivery, at))
        .collect();
    let tail = "ON CONFLICT (delivery) DO UPDATE SET died_at = excluded.died_at \
                WHERE dead_letters.died_at < excluded.died_at";
    rows::insert(connection, &format!("dead_letters ({COLUMNS})"), rows, tail).await
}

fn row(delivery: &Delivery, died_at: Millis) -> Vec<Value> {
    let object = match &delivery.body {
        Body::Inline(_) => None,
        Body::Object { name, .. } => Some(name),
    };
    vec![
        rows::id(delivery.id),
        rows::id(delivery.workspace),
        rows::id(delivery.destination),
        died_at.into(),
        rows::text_or_null(delivery.content_type.as_ref()),
        delivery.body.bytes().map(|bytes| bytes.to_vec()).into(),
        rows::text_or_null(object),
        rows::number(delivery.body.size()),
        rows::number(delivery.revision),
        rows::text(&delivery.traceparent),
    ]
}
