//! Dead letters as they are needed to send a delivery again.

use hookrail_domain::{
    delivery::{Delivery, EntityRef},
    event::{Body, Origin},
    ids::DestinationId,
    partition,
};
use sea_orm::ConnectionTrait;

use crate::dead_letters::{COLUMNS, DeadLetterRow};
use crate::deliveries::{DeliveryRow, lane_text};
use crate::{StoreError, rows, statement};

/// The dead delivery of `row` as it was, one generation on; none where its body is not kept any more.
///
/// # Errors
/// When the database can't be read, or holds what is no delivery.
pub async fn once_more<C: ConnectionTrait>(
    connection: &C,
    row: &DeliveryRow,
) -> Result<Option<Delivery>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM dead_letters WHERE delivery = $1");
    let letter: Option<DeadLetterRow> = statement::row(connection, &sql, vec![rows::text(&row.id)]).await?;
    letter.map(|letter| joined(row, letter)).transpose()
}

fn joined(row: &DeliveryRow, letter: DeadLetterRow) -> Result<Delivery, StoreError> {
    let headers = letter.headers()?;
    let body = match (letter.body, letter.body_object) {
        (Some(bytes), _) => Body::inline(bytes),
        (None, Some(name)) => Body::Object {
            name,
            size: number(row, letter.size)?,
        },
        (None, None) => return Err(unreadable(row, "its dead letter has no body")),
    };
    let option = |text: &Option<String>| text.clone();
    let destination = parse(row, &row.destination)?;
    Ok(Delivery {
        id: parse(row, &row.id)?,
        event: parse(row, &row.event)?,
        event_type: row.event_type.clone(),
        workspace: parse(row, &row.workspace)?,
        source: option(&row.source).map(|id| parse(row, &id)).transpose()?,
        destination,
        route: option(&row.route).map(|id| parse(row, &id)).transpose()?,
        entity: entity(row),
        lane_key: lane_key(row, destination),
        origin: Origin {
            partition: number(row, row.origin_partition)?,
            sequence: number(row, row.origin_sequence)?,
            index: number(row, row.origin_index)?,
        },
        revision: number(row, letter.revision)?,
        accepted_at: row.accepted_at,
        content_type: letter.content_type,
        headers,
        body,
        traceparent: letter.traceparent,
        replay: option(&row.replay).map(|id| parse(row, &id)).transpose()?,
        reply: None,
        generation: number(row, row.generation + 1)?,
        attempts_before: number(row, row.attempts)?,
        was_held: false,
        fetcher: option(&row.fetcher).map(|id| parse(row, &id)).transpose()?,
    })
}

/// The ordering key as it was: text is stored with NUL escaped, and the lane's number tells whether it is.
fn lane_key(row: &DeliveryRow, destination: DestinationId) -> Option<String> {
    let key = row.lane_key.clone()?;
    let is_it = |key: &str| lane_text(partition::lane_hash(destination, key)) == row.lane;
    let unescaped = key.replace("\\u0000", "\0");
    Some(if !is_it(&key) && is_it(&unescaped) {
        unescaped
    } else {
        key
    })
}

fn entity(row: &DeliveryRow) -> Option<EntityRef> {
    Some(EntityRef {
        entity_type: row.entity_type.clone()?,
        unique_id: row.unique_id.clone()?,
        version: row.entity_version.clone()?,
    })
}

fn parse<T: std::str::FromStr>(row: &DeliveryRow, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| unreadable(row, text))
}

fn number<T: TryFrom<i64>>(row: &DeliveryRow, value: i64) -> Result<T, StoreError> {
    T::try_from(value).map_err(|_| unreadable(row, &value.to_string()))
}

fn unreadable(row: &DeliveryRow, reason: &str) -> StoreError {
    StoreError::Unreadable {
        table: "deliveries",
        row: row.id.clone(),
        reason: reason.to_owned(),
    }
}
