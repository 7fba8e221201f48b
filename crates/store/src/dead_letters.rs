//! Dead letters: deliveries that used up their retries, with their bodies, until they are replayed or
//! expire. What else a replay needs is in their rows of `deliveries`.

use std::collections::{BTreeMap, HashMap};

use hookrail_domain::{
    Millis,
    delivery::Delivery,
    event::Body,
    ids::{DeliveryId, DestinationId, IdError},
};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use crate::{StoreError, rows, statement};

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
    /// Headers that belong to the body: a JSON array of pairs; none where there are none.
    pub headers: Option<String>,
}

impl DeadLetterRow {
    /// Headers that belong to the body.
    ///
    /// # Errors
    /// They are not what was written.
    pub fn headers(&self) -> Result<Vec<(String, String)>, StoreError> {
        let read = |text: &String| serde_json::from_str(text);
        let headers = self.headers.as_ref().map(read).transpose();
        headers
            .map(Option::unwrap_or_default)
            .map_err(|error| StoreError::Unreadable {
                table: "dead_letters",
                row: self.delivery.clone(),
                reason: error.to_string(),
            })
    }
}

/// The columns of a [`DeadLetterRow`].
pub const COLUMNS: &str = "delivery, workspace, destination, died_at, content_type, body, body_object, size, revision, traceparent, headers";

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

/// The dead letters with these ids, in no order; those that are gone are left out. Their bodies come
/// along: the caller bounds how many it asks for by [`sizes`].
///
/// # Errors
/// When the database cannot be used now.
pub async fn load<C: ConnectionTrait>(
    connection: &C,
    ids: &[DeliveryId],
) -> Result<Vec<DeadLetterRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM dead_letters WHERE delivery IN ({})",
        rows::places(1, ids.len())
    );
    statement::rows(connection, &sql, ids.iter().map(rows::id).collect()).await
}

/// The sizes of the bodies of these dead letters, bytes.
///
/// # Errors
/// When the database cannot be used now.
pub async fn sizes<C: ConnectionTrait>(
    connection: &C,
    ids: &[DeliveryId],
) -> Result<HashMap<DeliveryId, u64>, StoreError> {
    let sql = format!(
        "SELECT delivery, size FROM dead_letters WHERE delivery IN ({})",
        rows::places(1, ids.len())
    );
    let mut sizes = HashMap::new();
    for row in statement::all(connection, &sql, ids.iter().map(rows::id).collect()).await? {
        let (id, size): (String, i64) = (
            statement::column(&row, "delivery")?,
            statement::column(&row, "size")?,
        );
        sizes.extend(id.parse().ok().map(|id: DeliveryId| (id, size.unsigned_abs())));
    }
    Ok(sizes)
}

/// The first destination, by id, after `after` that has dead letters.
///
/// # Errors
/// When the database cannot be used now.
pub async fn next_destination<C: ConnectionTrait>(
    connection: &C,
    after: Option<DestinationId>,
) -> Result<Option<DestinationId>, StoreError> {
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let sql = "SELECT MIN(destination) AS destination FROM dead_letters WHERE destination > $1";
    let row = statement::first(connection, sql, vec![after.into()]).await?;
    let found: Option<String> = row
        .map(|row| statement::column(&row, "destination"))
        .transpose()?
        .flatten();
    let unreadable = |id: String, error: IdError| StoreError::Unreadable {
        table: "dead_letters",
        row: id,
        reason: error.to_string(),
    };
    found
        .map(|id| id.parse().map_err(|error| unreadable(id, error)))
        .transpose()
}

/// Removes at most `most` dead letters of a destination that died before `before`, the oldest first;
/// gives how many there were.
///
/// # Errors
/// When the database cannot be used now.
pub async fn trim<C: ConnectionTrait>(
    connection: &C,
    destination: DestinationId,
    before: Millis,
    most: u32,
) -> Result<u64, StoreError> {
    let sql = "DELETE FROM dead_letters WHERE delivery IN (SELECT delivery FROM dead_letters \
               WHERE destination = $1 AND died_at < $2 ORDER BY died_at LIMIT $3)";
    let values = vec![rows::id(destination), before.into(), i64::from(most).into()];
    statement::change(connection, sql, values).await
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
        headers(&delivery.headers).into(),
    ]
}

/// The form of the column; most bodies have none.
fn headers(headers: &[(String, String)]) -> Option<String> {
    (!headers.is_empty()).then(|| serde_json::to_string(headers).expect("pairs of text are JSON"))
}
