//! The processor: filters events, makes entities of them, plans their deliveries, and writes the
//! journal. The only writer of those tables. Makes no HTTP calls and answers none.

mod settings;
mod shard_turns;

mod answer_callers;
mod arrivals;
mod careful;
mod commit;
mod consume_partition;
pub mod evaluate;
mod evaluate_batch;
mod evaluation;
mod fetch_bodies;
mod fetch_findings;
mod held_sources;
mod hold_events;
mod own_partitions;
mod plan_deliveries;
mod plan_fetches;
mod publish_deliveries;
mod published_before;
mod read_answer;
pub mod read_event;
mod release_held;
mod render_delivery;
mod rendered_body;
mod rule_findings;
mod take_answers;
mod take_deletions;
mod take_entities;
mod take_partition;

mod consume_journal;
mod dead_bodies;
mod forget;
mod readiness;
mod tell_events;
mod tend_entities;
mod tend_partition;
mod trim_log;
mod watch_held;

mod import;
mod import_chunk;
mod job_board;
mod jobs;
mod known_entity;
mod publish_internal_events;
mod replay;
mod replay_deliveries;
mod replay_events;
mod replay_order;
mod replay_page;
mod replay_selection;
mod replayed_body;
mod sweep_objects;
mod sync;
mod sync_input;
mod sync_plan;
mod sync_publish;
mod sync_run;
mod sync_schedule;
mod sync_settle;
mod trim_by_age;
mod trim_by_size;
mod trim_dead_letters;
mod trim_journal;
mod trim_leftovers;
mod trim_pages;

mod back_off;
mod error;
mod metrics;

use hookrail_broker::{Broker, JournalStream, Ownership, OwnershipSettings, Responder, SnapshotFeed};
use hookrail_domain::ownership::{Role, WorkerId};
use hookrail_runtime::{ServiceContext, SettingsError, clock, follow_revision};
use hookrail_store::{Store, partition_progress};
use tokio_util::task::TaskTracker;

pub use settings::ProcessorSettings;

use consume_partition::Workshop;
use metrics::ProcessorMetrics;
use own_partitions::Duty;

/// Runs the processor until `ctx.shutdown` is cancelled and what was in flight is committed.
///
/// # Errors
/// Wrong settings; a database that does not belong to the broker; a broker that can't be used.
pub async fn run(
    settings: ProcessorSettings,
    broker: Broker,
    store: Store,
    ctx: ServiceContext,
) -> anyhow::Result<()> {
    settings.check()?;
    let worker = worker_id(&settings)?;
    let partitions_check = ctx.health.check("processor.partitions");
    check_progress(&broker, &store).await?;
    let (feed, snapshots) = SnapshotFeed::start(&broker).await?;
    follow_revision(&ctx.metrics, "processor", snapshots.revisions());
    let metrics = ProcessorMetrics::new(&ctx.metrics);
    let workshop = Workshop {
        settings,
        responder: Responder::new(&broker, clock::now_ms),
        broker: broker.clone(),
        store: store.clone(),
        snapshots,
        metrics,
    };

    let tasks = TaskTracker::new();
    for stream in [JournalStream::Journal, JournalStream::Dead] {
        tasks.spawn(consume_journal::consume_journal(
            workshop.clone(),
            stream,
            ctx.shutdown.clone(),
        ));
    }
    let beside = [
        tokio::spawn(forget::forget_regularly(store.clone())),
        tokio::spawn(readiness::report(ctx.clone(), broker.clone(), store)),
    ];
    let partitions = broker.settings().partitions;
    let mut owning = OwnershipSettings::new(worker, Role::Processor, partitions);
    owning.exclusive_worker_id = workshop.settings.processor_exclusive;
    let (ownership, changes) = Ownership::start(broker.settings(), owning).await?;
    partitions_check.ready();
    tracing::info!(worker = %ownership.worker(), partitions, "processor started");
    let working_on_jobs = jobs::start(&workshop, &ctx).await?;
    let duty = Duty::of_events(workshop);
    own_partitions::own_partitions(duty, ownership, changes, ctx.shutdown.clone(), ctx.grace).await;
    // A panic in it was logged where it happened; the partitions are handed over already.
    let _ended = working_on_jobs.await;

    tasks.close();
    tasks.wait().await;
    for task in beside {
        task.abort();
    }
    drop(feed);
    if !ctx.shutdown.is_cancelled() {
        anyhow::bail!("the ownership of partitions ended");
    }
    Ok(())
}

/// This worker among the processors, and among those that work on jobs.
fn worker_id(settings: &ProcessorSettings) -> Result<WorkerId, SettingsError> {
    let name = settings.processor_worker.as_deref().unwrap_or("processor");
    WorkerId::new(name).map_err(|error| SettingsError::invalid("processor-worker", error.to_string()))
}

/// Refuses a database that has processed more than the log ever held: with another broker's log under
/// it, accepted events would be taken for processed.
async fn check_progress(broker: &Broker, store: &Store) -> anyhow::Result<()> {
    for (partition, committed) in partition_progress::all_committed(store.reader()).await? {
        if partition >= broker.settings().partitions || committed == 0 {
            continue;
        }
        let last = broker.raw_state(partition).await?.last_sequence;
        if committed > last {
            let reason = format!(
                "the database has processed event {committed} of raw partition {partition}, but the broker's log \
                 ends at {last}: they don't belong together (see `hookrail backup` and `hookrail restore`)"
            );
            return Err(SettingsError::invalid("database-url", reason).into());
        }
    }
    Ok(())
}
