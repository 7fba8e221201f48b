//! Events of paused sources: kept as they are in the log, with their places there, until they are processed. What
//! is held in each partition belongs to the partition's owner, which alone adds and takes away, in transactions
//! that its epoch guards.

use std::collections::BTreeMap;

use hookrail_domain::{
    Millis,
    ids::{EventId, SourceId},
};
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{StoreError, rows, statement};

/// An event to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldWrite {
    /// Its raw partition.
    pub partition: u32,
    /// Its sequence there.
    pub sequence: u64,
    /// Its source.
    pub source: SourceId,
    /// The event.
    pub event: EventId,
    /// When the broker stored it.
    pub stored_at: Millis,
    /// What it counts for the limit: its message, and its body where that lies apart.
    pub bytes: u64,
    /// Its message.
    pub message: Vec<u8>,
}

/// A held event.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct HeldRow {
    /// Its source.
    pub source: String,
    /// Its sequence in its partition.
    pub sequence: i64,
    /// Its id.
    pub event: String,
    /// When the broker stored it.
    pub stored_at: i64,
    /// Its message.
    pub message: Vec<u8>,
}

/// What is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeldSum {
    /// Events.
    pub events: u64,
    /// Their bytes, as they count for the limit.
    pub bytes: u64,
}

/// Holds events, each of them once.
///
/// # Errors
/// When the database refuses the data or cannot be used now.
pub async fn insert<C: ConnectionTrait>(connection: &C, writes: &[HeldWrite]) -> Result<(), StoreError> {
    let row = |write: &HeldWrite| {
        vec![
            rows::number(write.partition),
            rows::id(write.source),
            rows::number(write.sequence),
            rows::id(write.event),
            write.stored_at.into(),
            rows::number(write.bytes),
            write.message.clone().into(),
        ]
    };
    let head = "held_events (partition, source, sequence, event, stored_at, bytes, message)";
    rows::insert(connection, head, writes.iter().map(row).collect(), "").await?;
    let mut sums: BTreeMap<(u32, SourceId), (HeldSum, Millis)> = BTreeMap::new();
    for write in writes {
        let (sum, since) = sums
            .entry((write.partition, write.source))
            .or_insert((HeldSum::default(), write.stored_at));
        sum.events += 1;
        sum.bytes += write.bytes;
        *since = write.stored_at.min(*since);
    }
    let rows = sums.into_iter().map(|((partition, source), (sum, since))| {
        vec![
            rows::number(partition),
            rows::id(source),
            rows::number(sum.events),
            rows::number(sum.bytes),
            since.into(),
        ]
    });
    let tail = "ON CONFLICT (partition, source) DO UPDATE SET \
                events = held_sources.events + excluded.events, bytes = held_sources.bytes + excluded.bytes";
    let head = "held_sources (partition, source, events, bytes, since)";
    rows::insert(connection, head, rows.collect(), tail).await?;
    Ok(())
}

/// The events held in a partition, by source.
///
/// # Errors
/// When the database cannot be used now.
pub async fn of_partition<C: ConnectionTrait>(
    connection: &C,
    partition: u32,
) -> Result<BTreeMap<SourceId, u64>, StoreError> {
    let sql = "SELECT source, events FROM held_sources WHERE partition = $1 AND events > 0";
    let mut found = BTreeMap::new();
    for row in statement::all(connection, sql, vec![rows::number(partition)]).await? {
        let events: i64 = statement::column(&row, "events")?;
        found.insert(
            source_of(statement::column(&row, "source")?)?,
            events.unsigned_abs(),
        );
    }
    Ok(found)
}

/// What is held of each source, in all partitions.
///
/// # Errors
/// When the database cannot be used now.
pub async fn by_source<C: ConnectionTrait>(
    connection: &C,
) -> Result<BTreeMap<SourceId, HeldSum>, StoreError> {
    let sql = "SELECT source, CAST(SUM(events) AS BIGINT) AS events, CAST(SUM(bytes) AS BIGINT) AS bytes \
               FROM held_sources GROUP BY source";
    let mut found = BTreeMap::new();
    for row in statement::all(connection, sql, vec![]).await? {
        let (events, bytes): (i64, i64) = (
            statement::column(&row, "events")?,
            statement::column(&row, "bytes")?,
        );
        let sum = HeldSum {
            events: events.unsigned_abs(),
            bytes: bytes.unsigned_abs(),
        };
        found.insert(source_of(statement::column(&row, "source")?)?, sum);
    }
    Ok(found)
}

/// A time at or before which the broker stored all that is held; `None` = nothing is.
///
/// # Errors
/// When the database cannot be used now.
pub async fn oldest<C: ConnectionTrait>(connection: &C) -> Result<Option<Millis>, StoreError> {
    let row = statement::first(connection, "SELECT MIN(since) AS since FROM held_sources", vec![]).await?;
    let since: Option<Option<Millis>> = row.map(|row| statement::column(&row, "since")).transpose()?;
    Ok(since.flatten())
}

/// The first events held of these sources in a partition, in the order of the log: at most `most`, and no more
/// once they have `max_bytes` together. At least one, where there is one.
///
/// # Errors
/// When the database cannot be used now.
pub async fn first<C: ConnectionTrait>(
    connection: &C,
    partition: u32,
    sources: &[SourceId],
    most: usize,
    max_bytes: u64,
) -> Result<Vec<HeldRow>, StoreError> {
    let mut places: BTreeMap<u64, (SourceId, u64)> = BTreeMap::new();
    for source in sources {
        let sql = "SELECT sequence, bytes FROM held_events WHERE partition = $1 AND source = $2 \
                   ORDER BY sequence LIMIT $3";
        let values = vec![
            rows::number(partition),
            rows::id(source),
            rows::number(most as u64),
        ];
        for row in statement::all(connection, sql, values).await? {
            let (sequence, bytes): (i64, i64) = (
                statement::column(&row, "sequence")?,
                statement::column(&row, "bytes")?,
            );
            places.insert(sequence.unsigned_abs(), (*source, bytes.unsigned_abs()));
        }
    }
    let mut through: BTreeMap<SourceId, u64> = BTreeMap::new();
    let mut sum = 0_u64;
    for (count, (sequence, (source, bytes))) in places.into_iter().enumerate() {
        sum = sum.saturating_add(bytes);
        if count >= most || (count > 0 && sum > max_bytes) {
            break;
        }
        through.insert(source, sequence);
    }
    let mut found = Vec::new();
    for (source, sequence) in through {
        let sql = "SELECT source, sequence, event, stored_at, message FROM held_events \
                   WHERE partition = $1 AND source = $2 AND sequence <= $3";
        let values = vec![rows::number(partition), rows::id(source), rows::number(sequence)];
        found.extend(statement::rows::<HeldRow, _>(connection, sql, values).await?);
    }
    found.sort_by_key(|row| row.sequence);
    Ok(found)
}

/// One held event; `None` where it is held no more.
///
/// # Errors
/// When the database cannot be used now.
pub async fn find<C: ConnectionTrait>(
    connection: &C,
    partition: u32,
    source: SourceId,
    sequence: u64,
) -> Result<Option<HeldRow>, StoreError> {
    let sql = "SELECT source, sequence, event, stored_at, message FROM held_events \
               WHERE partition = $1 AND source = $2 AND sequence = $3";
    let values = vec![rows::number(partition), rows::id(source), rows::number(sequence)];
    statement::row(connection, sql, values).await
}

/// Holds the first events of a source in a partition no more, up to and including a sequence; gives how many
/// they were.
///
/// # Errors
/// When the database cannot be used now.
pub async fn release<C: ConnectionTrait>(
    connection: &C,
    partition: u32,
    source: SourceId,
    through: u64,
) -> Result<u64, StoreError> {
    let sql =
        "DELETE FROM held_events WHERE partition = $1 AND source = $2 AND sequence <= $3 RETURNING bytes";
    let place = || vec![rows::number(partition), rows::id(source)];
    let mut values = place();
    values.push(rows::number(through));
    let released = statement::all(connection, sql, values).await?;
    let mut bytes = 0;
    for row in &released {
        bytes += statement::column::<i64>(row, "bytes")?;
    }
    let events = released.len() as u64;
    let mut values = vec![rows::number(events), bytes.into()];
    values.extend(place());
    let sql = "UPDATE held_sources SET events = events - $1, bytes = bytes - $2 WHERE partition = $3 AND source = $4";
    statement::change(connection, sql, values).await?;
    let sql = "DELETE FROM held_sources WHERE partition = $1 AND source = $2 AND events <= 0";
    statement::change(connection, sql, place()).await?;
    Ok(events)
}

fn source_of(text: String) -> Result<SourceId, StoreError> {
    text.parse().map_err(|_| StoreError::Unreadable {
        table: "held_sources",
        row: text,
        reason: "its source has no id".to_owned(),
    })
}
