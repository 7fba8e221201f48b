//! How many requests of each source were refused, by cause. Each record of an ingress counts once,
//! however often it comes.

use std::collections::{BTreeMap, HashSet};

use hookrail_domain::{Millis, ids::SourceId, journal::CountRecord};
use sea_orm::ConnectionTrait;

use crate::{StoreError, rows, statement};

/// Adds the records that were not counted before.
///
/// # Errors
/// When the database cannot be used now.
pub async fn count<C: ConnectionTrait>(
    connection: &C,
    records: &[&CountRecord],
    now: Millis,
) -> Result<(), StoreError> {
    let by_key: BTreeMap<(&str, u64), &CountRecord> = records
        .iter()
        .map(|record| ((record.instance.as_str(), record.number), *record))
        .collect();
    let new = remember(connection, by_key.keys().copied(), now).await?;
    let mut sums: BTreeMap<(SourceId, &str), u64> = BTreeMap::new();
    for ((instance, number), record) in &by_key {
        if new.contains(&(rows::escaped(instance).into_owned(), *number)) {
            *sums.entry((record.source, &record.code)).or_default() += record.refused;
        }
    }
    let rows = sums
        .into_iter()
        .map(|((source, code), refused)| vec![rows::id(source), rows::text(code), rows::number(refused)])
        .collect();
    let tail =
        "ON CONFLICT (source, code) DO UPDATE SET refused = source_refusals.refused + excluded.refused";
    rows::insert(connection, "source_refusals (source, code, refused)", rows, tail).await?;
    Ok(())
}

/// Notes the records; gives those that were not noted before.
async fn remember<C: ConnectionTrait>(
    connection: &C,
    keys: impl Iterator<Item = (&str, u64)>,
    now: Millis,
) -> Result<HashSet<(String, u64)>, StoreError> {
    let rows = keys.map(|(instance, number)| vec![rows::text(instance), rows::number(number), now.into()]);
    let mut new = HashSet::new();
    for (tuples, values) in rows::chunks(rows.collect()) {
        let sql = format!(
            "INSERT INTO refusal_records (instance, number, counted_at) VALUES {tuples} \
             ON CONFLICT (instance, number) DO NOTHING RETURNING instance, number"
        );
        for row in statement::all(connection, &sql, values).await? {
            let number: i64 = statement::column(&row, "number")?;
            new.insert((statement::column(&row, "instance")?, number.unsigned_abs()));
        }
    }
    Ok(new)
}

/// Forgets at most `most` of the records noted before `before`: what the journal holds no longer can't come
/// again. Gives how many there were.
///
/// # Errors
/// When the database cannot be used now.
pub async fn forget<C: ConnectionTrait>(
    connection: &C,
    before: Millis,
    most: u32,
) -> Result<u64, StoreError> {
    let sql = "DELETE FROM refusal_records WHERE (instance, number) IN (SELECT instance, number \
               FROM refusal_records WHERE counted_at < $1 ORDER BY counted_at LIMIT $2)";
    statement::change(connection, sql, vec![before.into(), i64::from(most).into()]).await
}

/// Refused requests of a source, by cause.
///
/// # Errors
/// When the database cannot be used now.
pub async fn of_source<C: ConnectionTrait>(
    connection: &C,
    source: SourceId,
) -> Result<BTreeMap<String, i64>, StoreError> {
    let sql = "SELECT code, refused FROM source_refusals WHERE source = $1";
    let rows = statement::all(connection, sql, vec![rows::id(source)]).await?;
    rows.iter()
        .map(|row| {
            Ok((
                statement::column(row, "code")?,
                statement::column(row, "refused")?,
            ))
        })
        .collect()
}
