//! Deliveries and their attempts as people look for them.

use std::collections::HashMap;

use hookrail_domain::ids::{DeliveryId, EventId};
use sea_orm::ConnectionTrait;

use super::Span;
use super::conditions::Conditions;
use crate::attempts::{self, AttemptRow};
use crate::deliveries::{COLUMNS, DeliveryRow};
use crate::{IdPage, StoreError, rows, statement};

/// Deliveries shown of one event.
pub const MAX_OF_EVENT: i64 = 200;
/// Attempts shown of one delivery, the newest ones.
pub const MAX_ATTEMPTS: i64 = 200;

/// Which deliveries are wanted; all that is given has to hold.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Of this workspace.
    pub workspace: String,
    /// To this destination.
    pub destination: Option<String>,
    /// Of events of this source.
    pub source: Option<String>,
    /// Of this event.
    pub event: Option<String>,
    /// With this status.
    pub status: Option<String>,
    /// In this lane.
    pub lane: Option<String>,
    /// Of events accepted in this span.
    pub span: Span,
}

/// One page of the deliveries wanted.
///
/// # Errors
/// When the database cannot be used now.
pub async fn list<C: ConnectionTrait>(
    connection: &C,
    filter: &DeliveryFilter,
    page: &IdPage,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let mut conditions = Conditions::default();
    conditions.equal("workspace", Some(&filter.workspace));
    conditions.equal("destination", filter.destination.as_deref());
    conditions.equal("source", filter.source.as_deref());
    conditions.equal("event", filter.event.as_deref());
    conditions.equal("status", filter.status.as_deref());
    conditions.equal("lane", filter.lane.as_deref());
    conditions.within(filter.span.ids::<DeliveryId>());
    let (sql, values) = conditions.page(COLUMNS, "deliveries", page);
    statement::rows(connection, &sql, values).await
}

/// One delivery of a workspace.
///
/// # Errors
/// When the database cannot be used now.
pub async fn find<C: ConnectionTrait>(
    connection: &C,
    workspace: &str,
    id: DeliveryId,
) -> Result<Option<DeliveryRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM deliveries WHERE id = $1 AND workspace = $2");
    statement::row(connection, &sql, vec![rows::id(id), rows::text(workspace)]).await
}

/// The deliveries of an event, in the order planned, at most [`MAX_OF_EVENT`].
///
/// # Errors
/// When the database cannot be used now.
pub async fn of_event<C: ConnectionTrait>(
    connection: &C,
    event: EventId,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deliveries WHERE event = $1 ORDER BY origin_index, id LIMIT {MAX_OF_EVENT}"
    );
    statement::rows(connection, &sql, vec![rows::id(event)]).await
}

/// The attempts made for a delivery, the first one first, at most the newest [`MAX_ATTEMPTS`].
///
/// # Errors
/// When the database cannot be used now.
pub async fn attempts_of<C: ConnectionTrait>(
    connection: &C,
    delivery: DeliveryId,
) -> Result<Vec<AttemptRow>, StoreError> {
    let sql = format!(
        "SELECT {} FROM attempts WHERE delivery = $1 \
         ORDER BY started_at DESC, epoch DESC, number DESC LIMIT {MAX_ATTEMPTS}",
        attempts::COLUMNS
    );
    let mut attempts: Vec<AttemptRow> = statement::rows(connection, &sql, vec![rows::id(delivery)]).await?;
    attempts.reverse();
    Ok(attempts)
}

/// The ordering keys of deliveries, by the delivery's id.
///
/// # Errors
/// When the database cannot be used now.
pub async fn keys_of<C: ConnectionTrait>(
    connection: &C,
    deliveries: &[DeliveryId],
) -> Result<HashMap<String, String>, StoreError> {
    if deliveries.is_empty() {
        return Ok(HashMap::new());
    }
    let places: Vec<String> = (1..=deliveries.len()).map(|place| format!("${place}")).collect();
    let sql = format!(
        "SELECT id, lane_key FROM deliveries WHERE lane_key IS NOT NULL AND id IN ({})",
        places.join(", ")
    );
    let values = deliveries.iter().map(rows::id).collect();
    let rows = statement::all(connection, &sql, values).await?;
    rows.iter()
        .map(|row| Ok((statement::column(row, "id")?, statement::column(row, "lane_key")?)))
        .collect()
}
