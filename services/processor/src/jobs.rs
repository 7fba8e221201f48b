//! Background jobs: each shard of them is one processor's at a time, under a lease as for partitions.
//! Replays are spread over the shards; what there is one of for all, the first shard has.

use std::time::Duration;

use futures::FutureExt;
use hookrail_broker::{BrokerError, Lease, Ownership, OwnershipSettings, PublishError};
use hookrail_domain::ownership::{JOB_SHARDS, Role};
use hookrail_runtime::ServiceContext;
use hookrail_store::StoreError;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    consume_partition::Workshop,
    error::GiveUp,
    import::import_shard,
    job_board::JobBoard,
    own_partitions::{Duty, own_partitions},
    publish_internal_events::publish_internal_events,
    replay::replay_shard,
    shard_turns::Shift,
    sweep_objects::sweep_objects,
    sync::sync_shard,
    tend_entities::tend_entities,
    trim_dead_letters::trim_dead_letters,
    trim_journal::trim_journal,
    watch_held::watch_held,
    worker_id,
};

/// The shard that has what there is only one of.
const FIRST_SHARD: u32 = 0;
/// How long a shard whose work could not go on is left alone.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A step of a job did not work. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The broker did not take an event.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The lease is over.
    #[error(transparent)]
    GiveUp(#[from] GiveUp),
}

/// Takes part in owning the shards until shutdown.
pub(crate) async fn start(workshop: &Workshop, ctx: &ServiceContext) -> anyhow::Result<JoinHandle<()>> {
    let worker = worker_id(&workshop.settings)?;
    let mut owning = OwnershipSettings::new(worker, Role::Jobs, JOB_SHARDS);
    owning.exclusive_worker_id = workshop.settings.processor_exclusive;
    let (ownership, changes) = Ownership::start(workshop.broker.settings(), owning).await?;
    let (of_jobs, store, board) = (workshop.clone(), workshop.store.clone(), JobBoard::new());
    let of_shards = board.clone();
    let duty = Duty {
        owned: workshop.metrics.job_shards_owned.clone(),
        takeovers: workshop.metrics.job_takeovers.clone(),
        work: Box::new(move |lease, stop| work(of_jobs.clone(), of_shards.clone(), lease, stop).boxed()),
    };
    let (shutdown, grace) = (ctx.shutdown.clone(), ctx.grace);
    Ok(tokio::spawn(async move {
        tokio::select! {
            () = own_partitions(duty, ownership, changes, shutdown, grace) => {}
            () = board.look_regularly(&store) => {}
        }
    }))
}

/// Works on a shard's replays, imports and syncs; the first shard has more to do beside, which may be dropped at any
/// point.
async fn work(
    workshop: Workshop,
    board: JobBoard,
    lease: Lease,
    stop: CancellationToken,
) -> Result<(), GiveUp> {
    let beside = async {
        if lease.partition() == FIRST_SHARD {
            tokio::join!(
                trim_dead_letters(workshop.clone(), lease.clone()),
                trim_journal(workshop.clone(), lease.clone()),
                publish_internal_events(workshop.clone(), lease.clone()),
                sweep_objects(workshop.clone(), lease.clone()),
                tend_entities(workshop.clone(), lease.clone()),
                watch_held(workshop.clone(), lease.clone()),
            );
        } else {
            std::future::pending::<()>().await;
        }
    };
    let both = async {
        let shift = Shift {
            lease: &lease,
            board: &board,
            stop: &stop,
        };
        let (replays, syncs) = (replay_shard(&workshop, &shift), sync_shard(&workshop, &shift));
        tokio::try_join!(replays, import_shard(&workshop, &shift), syncs).map(drop)
    };
    tokio::select! {
        result = both => result,
        () = beside => Err(GiveUp::LeaseOver),
    }
}
