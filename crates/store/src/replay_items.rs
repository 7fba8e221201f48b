//! What a replay has still to send again, in the order in which it was accepted within each raw
//! partition. An item goes in the transaction that says that it was sent, so what is left is where a
//! replay goes on.

use hookrail_domain::{Millis, event::Origin, ids::ReplayId};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use crate::{StoreError, rows, statement};

/// A delivery or an event that is to be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayItem {
    /// Its id.
    pub item: String,
    /// Its place in the log; an event's index is 0.
    pub origin: Origin,
    /// When its event was accepted.
    pub accepted_at: Millis,
}

/// Adds items; those that are there already stay.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn insert<C: ConnectionTrait>(
    connection: &C,
    replay: ReplayId,
    items: &[ReplayItem],
) -> Result<u64, StoreError> {
    let rows = items
        .iter()
        .map(|item| {
            let mut row = key(replay, item);
            row.push(item.accepted_at.into());
            row
        })
        .collect();
    let head = "replay_items (replay, partition, sequence, place, item, accepted_at)";
    rows::insert(connection, head, rows, "ON CONFLICT DO NOTHING").await
}

/// The raw partitions that still have items: one look for each.
///
/// # Errors
/// When the database cannot be used now.
pub async fn partitions<C: ConnectionTrait>(
    connection: &C,
    replay: ReplayId,
) -> Result<Vec<u32>, StoreError> {
    let sql = "SELECT MIN(partition) AS partition FROM replay_items WHERE replay = $1 AND partition > $2";
    let (mut found, mut after) = (Vec::new(), -1);
    loop {
        let row = statement::first(connection, sql, vec![rows::id(replay), Value::from(after)]).await?;
        let next: Option<i64> = row
            .map(|row| statement::column(&row, "partition"))
            .transpose()?
            .flatten();
        let Some(next) = next else { return Ok(found) };
        found.extend(u32::try_from(next));
        after = next;
    }
}

/// The first items of a raw partition after `after`, at most `most`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn first<C: ConnectionTrait>(
    connection: &C,
    replay: ReplayId,
    partition: u32,
    after: Option<&ReplayItem>,
    most: u32,
) -> Result<Vec<ReplayItem>, StoreError> {
    let sql = "SELECT partition, sequence, place, item, accepted_at FROM replay_items \
               WHERE replay = $1 AND partition = $2 AND (sequence, place, item) > ($3, $4, $5) \
               ORDER BY sequence, place, item LIMIT $6";
    let (sequence, place, item) = after.map_or((Value::from(-1_i64), Value::from(-1_i64), ""), |item| {
        (
            rows::number(item.origin.sequence),
            rows::number(item.origin.index),
            item.item.as_str(),
        )
    });
    let values = vec![
        rows::id(replay),
        rows::number(partition),
        sequence,
        place,
        item.into(),
        i64::from(most).into(),
    ];
    statement::all(connection, sql, values)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Removes items that were sent, or can't be.
///
/// # Errors
/// When the database cannot be used now.
pub async fn delete<C: ConnectionTrait>(
    connection: &C,
    replay: ReplayId,
    items: &[ReplayItem],
) -> Result<(), StoreError> {
    let keys = items.iter().map(|item| key(replay, item)).collect();
    for (tuples, values) in rows::chunks(keys) {
        let columns = ["replay", "partition", "sequence", "place", "item"];
        let listed = rows::among("replay_items", &columns, &tuples);
        let sql = format!("DELETE FROM replay_items WHERE {listed}");
        statement::change(connection, &sql, values).await?;
    }
    Ok(())
}

/// Removes at most `most` items of a replay that ended before it had sent all; gives how many there were.
///
/// # Errors
/// When the database cannot be used now.
pub async fn sweep<C: ConnectionTrait>(
    connection: &C,
    replay: ReplayId,
    most: u32,
) -> Result<u64, StoreError> {
    let sql = "DELETE FROM replay_items WHERE (replay, partition, sequence, place, item) IN \
               (SELECT replay, partition, sequence, place, item FROM replay_items WHERE replay = $1 LIMIT $2)";
    statement::change(connection, sql, vec![rows::id(replay), i64::from(most).into()]).await
}

fn key(replay: ReplayId, item: &ReplayItem) -> Vec<Value> {
    vec![
        rows::id(replay),
        rows::number(item.origin.partition),
        rows::number(item.origin.sequence),
        rows::number(item.origin.index),
        item.item.as_str().into(),
    ]
}

fn read(row: &QueryResult) -> Result<ReplayItem, StoreError> {
    let number = |name| statement::column::<i64>(row, name);
    Ok(ReplayItem {
        item: statement::column(row, "item")?,
        origin: Origin {
            partition: u32::try_from(number("partition")?).unwrap_or(u32::MAX),
            sequence: number("sequence")?.unsigned_abs(),
            index: u32::try_from(number("place")?).unwrap_or(u32::MAX),
        },
        accepted_at: number("accepted_at")?,
    })
}
