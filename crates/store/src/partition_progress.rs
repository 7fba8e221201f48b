//! How far each raw partition is processed: the truth about resume point, trim limit and lag.
//!
//! The epoch in each row fences off older owners: they change no row, and give up.

use sea_orm::ConnectionTrait;

use crate::{Store, StoreError, rows, statement};

/// Takes `partition` for the owner with `epoch`: the committed sequence, or `None` when an owner with
/// this or a newer epoch has it.
///
/// The sequence is read only after the row is fenced, in the same transaction: an older owner's
/// commit is either before it, and seen, or refused.
///
/// # Errors
/// When the database cannot be used now.
pub async fn take_partition(store: &Store, partition: u32, epoch: u64) -> Result<Option<u64>, StoreError> {
    let transaction = store.write().await?;
    let row = vec![rows::number(partition), rows::number(0), rows::number(0)];
    rows::insert(
        &*transaction,
        "partition_progress (partition, epoch, sequence)",
        vec![row],
        "ON CONFLICT (partition) DO NOTHING",
    )
    .await?;
    let fenced = statement::change(
        &*transaction,
        "UPDATE partition_progress SET epoch = $1 WHERE partition = $2 AND epoch < $3",
        vec![rows::number(epoch), rows::number(partition), rows::number(epoch)],
    )
    .await?;
    if fenced != 1 {
        return Ok(None);
    }
    let sequence = committed(&*transaction, partition).await?;
    transaction.commit().await?;
    Ok(sequence)
}

/// Moves the partition's committed sequence on, within the transaction that holds what was
/// processed up to it. `false`: a newer owner has the partition, or the sequence is behind already;
/// the transaction must be rolled back and the partition given up.
///
/// # Errors
/// When the database cannot be used now.
pub async fn advance<C: ConnectionTrait>(
    connection: &C,
    partition: u32,
    epoch: u64,
    sequence: u64,
) -> Result<bool, StoreError> {
    let changed = statement::change(
        connection,
        "UPDATE partition_progress SET sequence = $1 WHERE partition = $2 AND epoch = $3 AND sequence < $4",
        vec![
            rows::number(sequence),
            rows::number(partition),
            rows::number(epoch),
            rows::number(sequence),
        ],
    )
    .await?;
    Ok(changed == 1)
}

/// Whether the owner with `epoch` still has the partition, within the transaction that holds what it writes
/// beside the log's progress: a takeover waits for that transaction, or wins before it. `false`: the
/// transaction must be rolled back and the partition given up.
///
/// # Errors
/// When the database cannot be used now.
pub async fn still_owned<C: ConnectionTrait>(
    connection: &C,
    partition: u32,
    epoch: u64,
) -> Result<bool, StoreError> {
    let changed = statement::change(
        connection,
        "UPDATE partition_progress SET epoch = $1 WHERE partition = $2 AND epoch = $3",
        vec![rows::number(epoch), rows::number(partition), rows::number(epoch)],
    )
    .await?;
    Ok(changed == 1)
}

/// The committed sequence of a partition; `None` before anybody took it.
///
/// # Errors
/// When the database cannot be used now.
pub async fn committed<C: ConnectionTrait>(
    connection: &C,
    partition: u32,
) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT sequence FROM partition_progress WHERE partition = $1";
    let row = statement::first(connection, sql, vec![rows::number(partition)]).await?;
    row.map(|row| statement::column::<i64>(&row, "sequence").map(i64::unsigned_abs))
        .transpose()
}

/// The committed sequence of every partition that somebody took, by partition.
///
/// # Errors
/// When the database cannot be used now.
pub async fn all_committed<C: ConnectionTrait>(connection: &C) -> Result<Vec<(u32, u64)>, StoreError> {
    let sql = "SELECT partition, sequence FROM partition_progress ORDER BY partition";
    let rows = statement::all(connection, sql, vec![]).await?;
    rows.iter()
        .map(|row| {
            let partition: i64 = statement::column(row, "partition")?;
            let sequence: i64 = statement::column(row, "sequence")?;
            Ok((
                u32::try_from(partition).unwrap_or(u32::MAX),
                sequence.unsigned_abs(),
            ))
        })
        .collect()
}
