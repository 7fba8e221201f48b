//! Owning partitions: one worker's part in sharing them out.
//!
//! The same for all roles. It decides who owns what; what an owner does before it may act (the
//! takeover) is in the readers. Everything runs on its own thread, with its own connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookrail_domain::ownership::{LeaseTimes, Role, WorkerId};
use tokio::sync::{mpsc, oneshot};

use crate::error::BrokerError;
use crate::heartbeat::HeldLeases;
use crate::lease::Lease;
use crate::ownership_loop::{self, Command};
use crate::random::random_bits;
use crate::settings::BrokerSettings;

/// How many commands may wait for the ownership thread.
const COMMANDS_MAX: usize = 1_024;

/// One worker's settings for one role.
#[derive(Clone, Debug)]
pub struct OwnershipSettings {
    /// The worker's id among the members of the role.
    pub worker: WorkerId,
    /// What it owns partitions for.
    pub role: Role,
    /// How many partitions there are to share.
    pub partitions: u32,
    /// No other process can be running under the same worker id, because this one holds a lock on
    /// the directory that the id is stored in. Then what an older self owned is claimed at once.
    /// Otherwise a random part is added to the id, so that every process is a worker of its own.
    pub exclusive_worker_id: bool,
    /// How long a heartbeat is good for; the same for all workers.
    pub ttl_ms: i64,
    /// Taken off by the owner, added by the others; the same for all workers.
    pub margin_ms: i64,
    /// How long a partition must have had another wanted owner before it is handed over.
    pub hand_over_after_ms: i64,
}

impl OwnershipSettings {
    /// The usual times: 10 s, 1 s, 15 s.
    pub fn new(worker: WorkerId, role: Role, partitions: u32) -> OwnershipSettings {
        OwnershipSettings {
            worker,
            role,
            partitions,
            exclusive_worker_id: false,
            ttl_ms: 10_000,
            margin_ms: 1_000,
            hand_over_after_ms: 15_000,
        }
    }

    pub(crate) fn times(&self) -> LeaseTimes {
        LeaseTimes {
            ttl_ms: self.ttl_ms,
            margin_ms: self.margin_ms,
        }
    }

    fn check(&self) -> Result<(), BrokerError> {
        let margins_fit = self.margin_ms > 0 && self.margin_ms * 2 < self.ttl_ms;
        if !margins_fit || self.ttl_ms < 400 {
            let problem = "lease times: ttl at least 400 ms, margin above 0 and under half of ttl";
            return Err(BrokerError::Settings(problem.to_owned()));
        }
        if self.partitions == 0 {
            return Err(BrokerError::Settings("partitions: at least 1".to_owned()));
        }
        Ok(())
    }
}

/// How a worker leaves a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// Nothing of this worker or of an owner before it is in flight any more.
    Clean,
    /// Something may still be in flight: the next owner must wait it out.
    Unclean,
}

/// What changed for this worker.
#[derive(Debug)]
pub enum OwnershipChange {
    /// It owns a partition: take it over, then work.
    Gained(Lease),
    /// It should hand a partition over: stop taking work, finish what is in flight, flush, then
    /// say how it went. Until then the lease still holds. A dropped `done` counts as unclean.
    Lose {
        /// The lease to hand over.
        lease: Lease,
        /// Where to say that the work has stopped.
        done: oneshot::Sender<HandOver>,
    },
    /// It owns a partition no more: stop at once, write nothing.
    Lost(Lease),
}

/// One worker's membership in a role. Dropping it without [`Ownership::release_all`] ends all
/// leases and leaves the partitions to be claimed once the heartbeat has run out.
pub struct Ownership {
    commands: mpsc::Sender<Command>,
    held: Arc<HeldLeases>,
    without_owner: Arc<AtomicUsize>,
    worker: WorkerId,
}

impl Ownership {
    /// Joins the role: connects, writes the first heartbeat, and begins to claim. The receiver
    /// must be read; it is bounded.
    pub async fn start(
        broker: &BrokerSettings,
        settings: OwnershipSettings,
    ) -> Result<(Ownership, mpsc::Receiver<OwnershipChange>), BrokerError> {
        settings.check()?;
        let settings = with_unique_worker(settings)?;
        let worker = settings.worker.clone();
        let held = Arc::new(HeldLeases::default());
        let without_owner = Arc::new(AtomicUsize::new(settings.partitions as usize));
        let changes_max = settings.partitions as usize * 2 + 16;
        let (change_sender, changes) = mpsc::channel(changes_max);
        let (commands, command_receiver) = mpsc::channel(COMMANDS_MAX);
        let (started_sender, started) = oneshot::channel();
        let parts = ownership_loop::Parts {
            broker: broker.clone(),
            settings,
            held: Arc::clone(&held),
            without_owner: Arc::clone(&without_owner),
            changes: change_sender,
            commands: command_receiver,
            started: started_sender,
        };
        ownership_loop::spawn_thread(parts)?;
        let ended = || BrokerError::request("starting the ownership thread", "it ended");
        started.await.map_err(|_| ended())??;
        let ownership = Ownership {
            commands,
            held,
            without_owner,
            worker,
        };
        Ok((ownership, changes))
    }

    /// This worker's id, as the others see it.
    pub fn worker(&self) -> &WorkerId {
        &self.worker
    }

    /// How many partitions it owns now.
    pub fn owned(&self) -> usize {
        self.held
            .with(|leases| leases.values().filter(|lease| lease.holds()).count())
    }

    /// How many partitions nobody owns now, or only a worker that is dead, as this one sees it.
    pub fn without_owner(&self) -> usize {
        self.without_owner.load(Ordering::Relaxed)
    }

    /// Ends a lease at once because the worker was refused or doesn't know what became of its
    /// last write. The partition can be claimed again, as after an unclean owner, also by this
    /// worker after a pause. No change is sent for it.
    pub async fn give_up(&self, lease: &Lease) {
        lease.give_up();
        let command = Command::GiveUp {
            partition: lease.partition(),
            epoch: lease.epoch(),
        };
        if self.commands.send(command).await.is_err() {
            tracing::warn!(partition = lease.partition(), "gave up after the ownership ended");
        }
    }

    /// Leaves the role: asks for every partition to be handed over ([`OwnershipChange::Lose`]),
    /// waits at most `grace` for it, writes what came of each, removes the heartbeat.
    pub async fn release_all(self, grace: Duration) {
        let (done, ended) = oneshot::channel();
        let command = Command::ReleaseAll { grace, done };
        if self.commands.send(command).await.is_ok() && ended.await.is_err() {
            tracing::warn!("the ownership thread ended before it had released all");
        }
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        self.held.end_all();
    }
}

fn with_unique_worker(mut settings: OwnershipSettings) -> Result<OwnershipSettings, BrokerError> {
    if !settings.exclusive_worker_id {
        let unique = format!("{}-{:08x}", settings.worker, random_bits() >> 32);
        settings.worker = WorkerId::new(unique).map_err(|error| BrokerError::Settings(error.to_string()))?;
    }
    Ok(settings)
}
