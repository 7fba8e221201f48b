//! Owning partitions, raw ones or shards of jobs: one task works on each while it is owned. This is the
//! one place that starts and ends them; what the work is, a [`Duty`] says.

use std::collections::HashMap;
use std::sync::{Arc, atomic::AtomicU64};
use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};

use hookrail_broker::{HandOver, Lease, Ownership, OwnershipChange};
use prometheus::{IntCounterVec, IntGauge};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    consume_partition::{Workshop, consume},
    error::GiveUp,
    tend_partition::tend,
};

/// What is done with a partition while it is owned.
pub(crate) struct Duty {
    /// How many are owned.
    pub(crate) owned: IntGauge,
    /// Takeovers, by whether the owner before left uncleanly.
    pub(crate) takeovers: IntCounterVec,
    /// The work, until it is told to stop.
    pub(crate) work: Work,
}

type Work = Box<dyn Fn(Lease, CancellationToken) -> BoxFuture<'static, Result<(), GiveUp>> + Send>;

impl Duty {
    /// Processing the events of raw partitions.
    pub(crate) fn of_events(workshop: Workshop) -> Self {
        Self {
            owned: workshop.metrics.partitions_owned.clone(),
            takeovers: workshop.metrics.takeovers.clone(),
            work: Box::new(move |lease, stop| work(workshop.clone(), lease, stop).boxed()),
        }
    }
}

/// Works on what this worker owns until `shutdown`; then hands everything over within `grace`.
pub(crate) async fn own_partitions(
    duty: Duty,
    ownership: Ownership,
    mut changes: mpsc::Receiver<OwnershipChange>,
    shutdown: CancellationToken,
    grace: Duration,
) {
    let mut owner = Owner {
        duty,
        ownership: Some(ownership),
        owned: HashMap::new(),
        tasks: JoinSet::new(),
    };
    let mut releasing = None;
    loop {
        tokio::select! {
            () = shutdown.cancelled(), if owner.ownership.is_some() => {
                releasing = owner.ownership.take().map(|ownership| tokio::spawn(ownership.release_all(grace)));
            }
            change = changes.recv() => match change {
                Some(change) => owner.change(change),
                None => break,
            },
            Some(ended) = owner.tasks.join_next_with_id(), if !owner.tasks.is_empty() => owner.ended(ended).await,
        }
    }
    while let Some(ended) = owner.tasks.join_next_with_id().await {
        owner.ended(ended).await;
    }
    if let Some(releasing) = releasing {
        // It only ends early when its thread died, which it has logged.
        let _ = releasing.await;
    }
}

struct Owner {
    duty: Duty,
    /// `None` once everything is being handed over.
    ownership: Option<Ownership>,
    owned: HashMap<Id, Owned>,
    tasks: JoinSet<Result<(), GiveUp>>,
}

struct Owned {
    lease: Lease,
    stop: CancellationToken,
    /// Whom to tell when its work has stopped.
    hand_over: Option<oneshot::Sender<HandOver>>,
}

impl Owner {
    fn change(&mut self, change: OwnershipChange) {
        match change {
            OwnershipChange::Gained(lease) => self.gained(lease),
            OwnershipChange::Lose { lease, done } => match self.find(&lease) {
                Some(owned) => {
                    owned.hand_over = Some(done);
                    owned.stop.cancel();
                }
                // Its task has ended by itself: what it left is not known to be clean.
                None => drop(done.send(HandOver::Unclean)),
            },
            OwnershipChange::Lost(lease) => {
                let (role, partition, epoch) = (lease.role().token(), lease.partition(), lease.epoch());
                tracing::warn!(role, partition, epoch, "lost a partition");
                if let Some(owned) = self.find(&lease) {
                    owned.stop.cancel();
                }
            }
        }
        self.count();
    }

    fn gained(&mut self, lease: Lease) {
        let unclean = lease.unclean_takeover();
        let (role, partition, epoch) = (lease.role().token(), lease.partition(), lease.epoch());
        tracing::info!(role, partition, epoch, unclean, "took a partition over");
        self.duty
            .takeovers
            .with_label_values(&[if unclean { "true" } else { "false" }])
            .inc();
        let stop = CancellationToken::new();
        let task = self.tasks.spawn((self.duty.work)(lease.clone(), stop.clone()));
        self.owned.insert(
            task.id(),
            Owned {
                lease,
                stop,
                hand_over: None,
            },
        );
    }

    fn find(&mut self, lease: &Lease) -> Option<&mut Owned> {
        self.owned.values_mut().find(|owned| {
            owned.lease.partition() == lease.partition() && owned.lease.epoch() == lease.epoch()
        })
    }

    async fn ended(&mut self, ended: Result<(Id, Result<(), GiveUp>), JoinError>) {
        let (id, clean) = match ended {
            Ok((id, Ok(()))) => (id, true),
            Ok((id, Err(reason))) => {
                self.log(id, &reason);
                (id, false)
            }
            Err(error) => {
                let id = error.id();
                self.log(id, &error);
                (id, false)
            }
        };
        let Some(owned) = self.owned.remove(&id) else {
            return;
        };
        if let Some(hand_over) = owned.hand_over {
            // Nobody listens once the lease has run out, and then nothing depends on it.
            let _ = hand_over.send(if clean { HandOver::Clean } else { HandOver::Unclean });
        } else if let (false, Some(ownership)) = (clean, &self.ownership) {
            ownership.give_up(&owned.lease).await;
        }
        self.count();
    }

    fn log(&self, id: Id, reason: &dyn std::fmt::Display) {
        let lease = self.owned.get(&id).map(|owned| &owned.lease);
        let (role, partition) = (
            lease.map(|lease| lease.role().token()),
            lease.map(Lease::partition),
        );
        tracing::warn!(role, partition, %reason, "gave a partition up");
    }

    fn count(&self) {
        self.duty
            .owned
            .set(i64::try_from(self.owned.len()).unwrap_or(i64::MAX));
    }
}

/// Works on a raw partition and tends it beside; tending ends with the work.
async fn work(workshop: Workshop, lease: Lease, stop: CancellationToken) -> Result<(), GiveUp> {
    let committed = Arc::new(AtomicU64::new(0));
    let tending = tend(workshop.clone(), lease.clone(), Arc::clone(&committed));
    let consuming = consume(workshop, lease, committed, stop);
    tokio::pin!(consuming, tending);
    let mut tended = false;
    loop {
        tokio::select! {
            result = &mut consuming => return result,
            () = &mut tending, if !tended => tended = true,
        }
    }
}
