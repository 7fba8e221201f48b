//! The dispatcher: sends deliveries, in order per lane, until their receivers have them.
//!
//! It owns partitions of the deliveries' streams; each has one task that feeds the order engine
//! (`hookrail_domain::lane`) and carries out what it decides. It has no database: what happened goes
//! to the journal through the broker.

mod answer_caller;
mod attempt;
mod bodies;
mod carry_out;
mod commands;
mod consume_partition;
mod error;
mod fetch;
mod fetch_memory;
mod journal_fill;
mod judge_answer;
mod large_body;
mod make_request;
mod metrics;
mod observe;
mod own_partitions;
mod park;
mod partition_task;
mod publish_answer;
mod read_ahead;
mod record;
mod rules;
mod settings;
mod settle;

use std::sync::{Arc, atomic::AtomicU32};

use anyhow::Context as _;
use hookrail_broker::{Broker, Responder, SnapshotFeed};
use hookrail_outbound::OutboundClient;
use hookrail_runtime::{ServiceContext, clock, follow_revision};

pub use settings::DispatcherSettings;

use crate::{journal_fill::JournalFill, metrics::DispatcherMetrics, own_partitions::Shared};

/// Runs the dispatcher until `ctx.shutdown` is cancelled and what was in flight is finished.
///
/// # Errors
/// Wrong settings; a broker that can't be used.
pub async fn run(
    settings: DispatcherSettings,
    broker: Broker,
    outbound: OutboundClient,
    ctx: ServiceContext,
) -> anyhow::Result<()> {
    settings.check()?;
    let ready = ctx.health.check("dispatcher.partitions");
    let (_feed, snapshots) = SnapshotFeed::start(&broker)
        .await
        .context("can't read the definitions")?;
    follow_revision(&ctx.metrics, "dispatcher", snapshots.revisions());
    let broker = broker.with_own_memory();
    let metrics = DispatcherMetrics::new(&ctx.metrics);
    let journal_fill = Arc::new(JournalFill::new(metrics.details_left_out.clone()));
    let watching = tokio::spawn(journal_fill::watch(broker.clone(), Arc::clone(&journal_fill)));
    let shared = Shared {
        publisher: broker.publisher(),
        responder: Responder::new(&broker, clock::now_ms),
        journal_fill,
        metrics,
        broker,
        outbound,
        snapshots,
        settings,
        owned: AtomicU32::new(0),
    };
    let result = own_partitions::run(shared, ready, &ctx).await;
    watching.abort();
    result
}
