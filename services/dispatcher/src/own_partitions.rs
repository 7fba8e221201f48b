//! Owns partitions: one task for each, started when it is gained, drained when it is to be handed
//! over, dropped at once when it is lost.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use hookrail_broker::{
    Broker, HandOver, Lease, Ownership, OwnershipChange, OwnershipSettings, Publisher, Responder,
    SnapshotReader,
};
use hookrail_domain::ownership::{Role, WorkerId};
use hookrail_outbound::OutboundClient;
use hookrail_runtime::{ServiceContext, SettingsError, health::Readiness, random};
use tokio::{
    sync::oneshot,
    task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    DispatcherSettings,
    consume_partition::{Orders, consume_partition},
    error::PartitionError,
    journal_fill::JournalFill,
    metrics::DispatcherMetrics,
};

/// How often the number of partitions without an owner is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What all partitions of a dispatcher share.
pub(crate) struct Shared {
    pub(crate) broker: Broker,
    pub(crate) publisher: Publisher,
    pub(crate) responder: Responder,
    pub(crate) journal_fill: Arc<JournalFill>,
    pub(crate) outbound: OutboundClient,
    pub(crate) snapshots: SnapshotReader,
    pub(crate) metrics: DispatcherMetrics,
    pub(crate) settings: DispatcherSettings,
    /// How many partitions this process owns.
    pub(crate) owned: AtomicU32,
}

impl Shared {
    pub(crate) fn owned(&self) -> u32 {
        self.owned.load(Ordering::Relaxed)
    }
}

/// A partition's task, and how it is told to end.
struct Running {
    epoch: u64,
    stop: CancellationToken,
    drain: Option<oneshot::Sender<()>>,
    /// Told once the task has ended, where a hand-over was asked for.
    done: Option<oneshot::Sender<HandOver>>,
}

type Ended = Result<(Id, Result<HandOver, PartitionError>), JoinError>;

struct Partitions {
    shared: Arc<Shared>,
    running: HashMap<u32, Running>,
    tasks: JoinSet<Result<HandOver, PartitionError>>,
    /// Whose task is whose, so that one that panics is known too.
    leases: HashMap<Id, Lease>,
}

/// Owns partitions until shutdown, then hands all of them over.
pub(crate) async fn run(shared: Shared, ready: Readiness, ctx: &ServiceContext) -> anyhow::Result<()> {
    let settings = ownership_settings(&shared)?;
    let (ownership, mut changes) = Ownership::start(shared.broker.settings(), settings)
        .await
        .context("can't take part in owning delivery partitions")?;
    ready.ready();
    let mut partitions = Partitions {
        shared: Arc::new(shared),
        running: HashMap::new(),
        tasks: JoinSet::new(),
        leases: HashMap::new(),
    };
    let mut looks = tokio::time::interval(LOOK_EVERY);
    while !ctx.shutdown.is_cancelled() {
        tokio::select! {
            () = ctx.shutdown.cancelled() => {}
            _ = looks.tick() => {
                let without_owner = i64::try_from(ownership.without_owner()).unwrap_or(i64::MAX);
                partitions.shared.metrics.without_owner.set(without_owner);
            }
            Some(change) = changes.recv() => partitions.change(change),
            Some(ended) = partitions.tasks.join_next_with_id(), if !partitions.tasks.is_empty() => {
                partitions.ended(ended, &ownership).await;
            }
        }
    }
    ready.not_ready("shutting down");
    let release = ownership.release_all(ctx.grace);
    tokio::pin!(release);
    loop {
        tokio::select! {
            () = &mut release => return Ok(()),
            Some(change) = changes.recv() => partitions.change(change),
            Some(ended) = partitions.tasks.join_next_with_id(), if !partitions.tasks.is_empty() => {
                if let Some((lease, result)) = partitions.whose(ended) {
                    partitions.confirm(&lease, result);
                }
            }
        }
    }
}

fn ownership_settings(shared: &Shared) -> anyhow::Result<OwnershipSettings> {
    let name = shared
        .settings
        .dispatcher_worker
        .clone()
        .unwrap_or_else(random::hex_token::<8>);
    let worker = WorkerId::new(name)
        .map_err(|error| SettingsError::invalid("dispatcher-worker", error.to_string()))?;
    let partitions = shared.broker.settings().partitions;
    let mut settings = OwnershipSettings::new(worker, Role::Dispatcher, partitions);
    settings.exclusive_worker_id = shared.settings.dispatcher_exclusive;
    Ok(settings)
}

impl Partitions {
    fn change(&mut self, change: OwnershipChange) {
        match change {
            OwnershipChange::Gained(lease) => self.start(lease),
            OwnershipChange::Lose { lease, done } => self.drain(&lease, done),
            OwnershipChange::Lost(lease) => self.stop(&lease),
        }
    }

    fn start(&mut self, lease: Lease) {
        let stop = CancellationToken::new();
        let (drain, drained) = oneshot::channel();
        let orders = Orders {
            stop: stop.clone(),
            drain: drained,
        };
        let running = Running {
            epoch: lease.epoch(),
            stop,
            drain: Some(drain),
            done: None,
        };
        // A task of an older epoch ends by itself: its reader and its acks are refused.
        self.running.insert(lease.partition(), running);
        self.shared.metrics.takeovers.inc();
        self.count_owned();
        let (shared, of_task) = (Arc::clone(&self.shared), lease.clone());
        let task = self
            .tasks
            .spawn(async move { consume_partition(&shared, &of_task, orders).await });
        self.leases.insert(task.id(), lease);
    }

    fn count_owned(&self) {
        let owned = u32::try_from(self.running.len()).unwrap_or(u32::MAX);
        self.shared.owned.store(owned, Ordering::Relaxed);
        self.shared.metrics.partitions.set(i64::from(owned));
    }

    fn drain(&mut self, lease: &Lease, done: oneshot::Sender<HandOver>) {
        match self.current(lease) {
            Some(running) => {
                running.done = Some(done);
                if let Some(drain) = running.drain.take() {
                    // A task that has ended meanwhile needs no telling.
                    let _told = drain.send(());
                }
            }
            // Its task has ended already, and whoever waits need not.
            None => {
                let _told = done.send(HandOver::Unclean);
            }
        }
    }

    fn stop(&mut self, lease: &Lease) {
        if let Some(running) = self.current(lease) {
            running.stop.cancel();
        }
    }

    fn current(&mut self, lease: &Lease) -> Option<&mut Running> {
        self.running
            .get_mut(&lease.partition())
            .filter(|running| running.epoch == lease.epoch())
    }

    /// The lease of a task that has ended, and how it ended.
    fn whose(&mut self, ended: Ended) -> Option<(Lease, Result<HandOver, PartitionError>)> {
        let (id, result) = match ended {
            Ok((id, result)) => (id, result),
            Err(error) => (error.id(), Err(PartitionError::Beside(error.to_string()))),
        };
        self.leases.remove(&id).map(|lease| (lease, result))
    }

    async fn ended(&mut self, ended: Ended, ownership: &Ownership) {
        let Some((lease, result)) = self.whose(ended) else {
            return;
        };
        if let Err(error) = &result {
            let (partition, epoch) = (lease.partition(), lease.epoch());
            tracing::warn!(partition, epoch, %error, "delivery partition given up");
            self.shared.metrics.given_up.inc();
            if matches!(error, PartitionError::Fenced) {
                self.shared.metrics.fence_refusals.inc();
            }
            ownership.give_up(&lease).await;
        }
        self.confirm(&lease, result);
    }

    /// The task of `lease` has ended: whoever asked for the hand-over learns how.
    fn confirm(&mut self, lease: &Lease, result: Result<HandOver, PartitionError>) {
        let Some(running) = self.current(lease) else {
            return;
        };
        let hand_over = result.unwrap_or(HandOver::Unclean);
        if let Some(done) = running.done.take() {
            // Whoever asked may have gone.
            let _told = done.send(hand_over);
        }
        self.running.remove(&lease.partition());
        self.count_owned();
    }
}
