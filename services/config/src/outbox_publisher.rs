//! Publishes what the outbox holds, in the order of the revisions, whoever wrote it and whenever.
//!
//! A change is forgotten only after the broker has it, so a crash at any point loses none; publishing
//! one twice changes nothing.

use std::time::Duration;

use hookrail_broker::{Broker, reseal_entry};
use hookrail_domain::Millis;
use hookrail_runtime::{Readiness, ServiceContext, clock, random};
use hookrail_store::outbox::OutboxRow;
use hookrail_store::sea_orm::DbBackend;
use hookrail_store::{Store, audit, idempotency, outbox, revision};

use crate::idempotency::KEPT_MS;
use crate::metrics::ConfigMetrics;
use crate::outbox_entry;
use crate::state::ConfigState;

/// Changes that are published in one go.
const BATCH: i64 = 100;
/// How often the outbox is looked at when nobody says that it changed: another config service may
/// have died with something in it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a deleted definition is remembered on the broker, milliseconds: by then nothing that was
/// accepted before can still refer to it.
const TOMBSTONE_MS: Millis = 30 * 24 * 3600 * 1000;
/// How often what is too old is removed.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Entries of the audit log that are removed in one transaction.
const AUDIT_STEP: i64 = 500;

/// Publishes until shutdown.
pub(crate) async fn run(state: ConfigState, context: ServiceContext, ready: Readiness) {
    let metrics = ConfigMetrics::new(&context.metrics);
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    loop {
        match publish_pending(&state.store, &state.broker).await {
            Ok(published) => {
                metrics.published.inc_by(published);
                ready.ready();
            }
            Err(error) => {
                metrics.publish_failures.inc();
                tracing::warn!(error = format!("{error:#}"), "changes wait to be published");
                ready.not_ready("changes of definitions can't be published");
            }
        }
        tokio::select! {
            () = context.shutdown.cancelled() => return,
            () = state.outbox_changed.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = sweep.tick() => {
                if let Err(error) = remove_old(&state, clock::now_ms()).await {
                    tracing::warn!(error = format!("{error:#}"), "what is too old could not be removed");
                }
            }
        }
    }
}

/// Publishes what the last requests before the end changed. What fails is published at the next start.
pub(crate) async fn publish_last(state: &ConfigState) {
    if let Err(error) = publish_pending(&state.store, &state.broker).await {
        tracing::warn!(
            error = format!("{error:#}"),
            "changes are left to be published at the next start"
        );
    }
}

/// Publishes all that waits; gives how many changes that were.
pub(crate) async fn publish_pending(store: &Store, broker: &Broker) -> anyhow::Result<u64> {
    let mut published = 0;
    loop {
        let batch = match store.backend() {
            DbBackend::Postgres => publish_locked(store, broker).await?,
            _ => publish_alone(store, broker).await?,
        };
        published += batch;
        if batch < BATCH.unsigned_abs() {
            return Ok(published);
        }
    }
}

/// Several config services share the database: one publishes at a time, so that an older entry never
/// comes after a newer one. PostgreSQL's other writers don't wait for this transaction.
async fn publish_locked(store: &Store, broker: &Broker) -> anyhow::Result<u64> {
    if outbox::oldest(store.reader(), 1).await?.is_empty() {
        return Ok(0);
    }
    let transaction = store.write().await?;
    revision::lock_publishing(&transaction).await?;
    let rows = outbox::oldest(&*transaction, BATCH).await?;
    let last = publish_rows(broker, &rows).await?;
    outbox::delete_through(&*transaction, last).await?;
    transaction.commit().await?;
    Ok(rows.len() as u64)
}

/// SQLite belongs to one process, and this is its only publisher; its one writer is not held meanwhile.
async fn publish_alone(store: &Store, broker: &Broker) -> anyhow::Result<u64> {
    let rows = outbox::oldest(store.reader(), BATCH).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let last = publish_rows(broker, &rows).await?;
    let transaction = store.write().await?;
    outbox::delete_through(&*transaction, last).await?;
    transaction.commit().await?;
    Ok(rows.len() as u64)
}

/// Publishes rows one after another; gives the last one's revision.
async fn publish_rows(broker: &Broker, rows: &[OutboxRow]) -> anyhow::Result<i64> {
    let mut last = 0;
    for row in rows {
        let mut entry = outbox_entry::decode(&row.payload)?;
        // What an older version left here is in clear.
        reseal_entry(&broker.settings().key_ring, &mut entry, random::bytes)?;
        broker.publish_entry(&entry).await?;
        last = row.revision;
    }
    Ok(last)
}

/// Removes the broker's entries of definitions that were deleted long ago, and answers kept for long
/// enough.
async fn remove_old(state: &ConfigState, now: Millis) -> anyhow::Result<()> {
    for key in outbox::buried_before(state.store.reader(), now - TOMBSTONE_MS, BATCH).await? {
        if let Some(key) = outbox_entry::read_key(&key) {
            // Who starts later knows the newest revision from its entry; events wait for it.
            let snapshot = state.snapshots.current();
            if snapshot
                .revision_of(key)
                .is_some_and(|of_key| of_key >= snapshot.revision())
            {
                continue;
            }
            state.broker.remove_tombstone(key).await?;
        }
        let transaction = state.store.write().await?;
        outbox::unbury(&*transaction, &key).await?;
        transaction.commit().await?;
    }
    let transaction = state.store.write().await?;
    idempotency::forget_before(&*transaction, now - KEPT_MS).await?;
    transaction.commit().await?;
    trim_audit(&state.store, now - state.audit_kept_ms).await
}

/// In small steps, so that no request waits long for the database's writer.
async fn trim_audit(store: &Store, before: Millis) -> anyhow::Result<()> {
    loop {
        let transaction = store.write().await?;
        let removed = audit::trim(&*transaction, before, AUDIT_STEP).await?;
        transaction.commit().await?;
        if removed < AUDIT_STEP.unsigned_abs() {
            return Ok(());
        }
    }
}
