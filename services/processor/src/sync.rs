//! Working on the syncs of a shard: their schedules, a page of each run in turn, what became of what they sent, and
//! what deleted ones have left.

use std::collections::HashMap;
use std::time::Duration;

use hookrail_broker::Lease;
use hookrail_domain::ids::RunId;
use hookrail_runtime::clock;
use hookrail_store::{open_jobs::JobKind, sync_leftovers, sync_runs, sync_runs::RunRow};
use tokio::time::Instant;

use crate::{
    consume_partition::Workshop,
    error::GiveUp,
    jobs::{JobError, RETRY_PAUSE},
    shard_turns::{NextTurn, Shift, Turns, take_turns},
    sync_run::{Running, Stepped, Workbench},
    sync_schedule,
    sync_settle::settle,
};

/// Runs of a shard whose rows are read side by side; more wait for their turn.
const RUNS_AT_ONCE: u32 = 8;
/// Runs of a shard whose deliveries are looked at; the oldest first.
const PENDING_AT_ONCE: u32 = 200;
/// How often a shard with runs looks for more, and at schedules.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The pause while a run waits for something.
const WAIT_PAUSE: Duration = Duration::from_millis(200);
/// How often it is looked what became of records: at first, and at the longest where nothing has.
const SETTLE_EVERY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How often a run is taken without getting further before it is given up.
const STALLS_MAX: i64 = 10;
/// Rows of a deleted sync removed at once.
const SWEEP_STEP: u32 = 2_000;

/// Works on the shard's syncs until the shift ends.
pub(crate) async fn sync_shard(workshop: &Workshop, shift: &Shift<'_>) -> Result<(), GiveUp> {
    let mut shard = Shard {
        workshop,
        lease: shift.lease,
        running: HashMap::new(),
        settling: HashMap::new(),
        schedules_due: Instant::now(),
    };
    take_turns(&mut shard, shift).await
}

struct Shard<'a> {
    workshop: &'a Workshop,
    lease: &'a Lease,
    /// The runs that this worker has taken, and when each is next.
    running: HashMap<RunId, (Running, Instant)>,
    settling: HashMap<RunId, Settling>,
    schedules_due: Instant,
}

/// When it is looked next what became of a run's records.
struct Settling {
    due: Instant,
    pause: Duration,
    /// Whether what a crash left is published.
    is_published: bool,
}

impl Turns for Shard<'_> {
    const KIND: JobKind = JobKind::Syncs;

    /// Gives all that is due its turn; says when there is something to do again.
    async fn turn(&mut self) -> Result<NextTurn, JobError> {
        let mut next = Instant::now() + LOOK_EVERY;
        if self.schedules_due <= Instant::now() {
            sync_schedule::fire(self.workshop, self.lease.partition()).await?;
            self.sweep().await?;
            self.schedules_due = Instant::now() + LOOK_EVERY;
        }
        let settling = self.settle_all().await?;
        let reader = self.workshop.store.reader();
        let open = sync_runs::open(reader, self.lease.partition(), RUNS_AT_ONCE).await?;
        for row in &open {
            let Ok(run) = row.id.parse::<RunId>() else {
                continue;
            };
            next = next.min(match self.work(run, row).await {
                Err(JobError::GiveUp(reason)) => return Err(reason.into()),
                Err(error) => {
                    tracing::warn!(%run, %error, "working on a sync's run again");
                    // What is in hand may be stored or not: it is taken again from what is.
                    self.running.remove(&run);
                    self.settling.remove(&run);
                    Instant::now() + RETRY_PAUSE
                }
                Ok(due) => due,
            });
        }
        self.running
            .retain(|run, _| open.iter().any(|row| row.id == run.to_string()));
        if open.is_empty() && settling.is_none() {
            return Ok(NextTurn::OnceOpen);
        }
        let next = settling.map_or(next, |due| next.min(due));
        Ok(NextTurn::In(next.saturating_duration_since(Instant::now())))
    }
}

impl Shard<'_> {
    fn later(&mut self, run: RunId, pause: Duration) -> Instant {
        let due = Instant::now() + pause;
        if let Some((_, next)) = self.running.get_mut(&run) {
            *next = due;
        }
        due
    }

    async fn work(&mut self, run: RunId, row: &RunRow) -> Result<Instant, JobError> {
        let at = Workbench {
            workshop: self.workshop,
            lease: self.lease,
            row,
        };
        if !self.running.contains_key(&run) && !self.take(run, row, &at).await? {
            return Ok(Instant::now() + LOOK_EVERY);
        }
        let Some((running, due)) = self.running.get_mut(&run) else {
            return Ok(Instant::now() + LOOK_EVERY);
        };
        if *due > Instant::now() {
            return Ok(*due);
        }
        match running.step(&at).await? {
            Stepped::Page => Ok(self.later(run, Duration::ZERO)),
            Stepped::Waits(what) => {
                if row.waits_for.as_deref() != Some(what) || row.stalls > 0 {
                    let transaction = self.workshop.store.write().await?;
                    sync_runs::waits(&*transaction, run, self.lease.epoch(), what).await?;
                    transaction.commit().await?;
                }
                Ok(self.later(run, WAIT_PAUSE))
            }
            ended => {
                match ended {
                    Stepped::Fails(reason) => at.fail(run, &reason).await?,
                    Stepped::End => at.end(run).await?,
                    _ => {}
                }
                self.running.remove(&run);
                Ok(Instant::now())
            }
        }
    }

    async fn take(&mut self, run: RunId, row: &RunRow, at: &Workbench<'_>) -> Result<bool, JobError> {
        let epoch = self.lease.epoch();
        let transaction = self.workshop.store.write().await?;
        let taken = sync_runs::take(&*transaction, run, epoch, clock::now_ms()).await?;
        transaction.commit().await?;
        if !taken {
            return Ok(false);
        }
        if row.stalls >= STALLS_MAX {
            let reason = "every worker that took it up ended before it got any further";
            at.fail(run, reason).await?;
            return Ok(false);
        }
        let Some(running) = Running::of(row) else {
            at.fail(run, "its definition can't be read").await?;
            return Ok(false);
        };
        if !at.publishing(&running).leftovers().await? {
            at.fail(run, "its destination was deleted").await?;
            return Ok(false);
        }
        tracing::info!(%run, sync = row.sync, epoch, "working on a sync's run");
        self.running.insert(run, (running, Instant::now()));
        Ok(true)
    }

    /// Looks what became of records; gives when there is more to look at, where there is more.
    async fn settle_all(&mut self) -> Result<Option<Instant>, JobError> {
        let mut next = None;
        let reader = self.workshop.store.reader();
        let pending = sync_runs::pending(reader, self.lease.partition(), PENDING_AT_ONCE).await?;
        self.settling
            .retain(|run, _| pending.iter().any(|row| row.id == run.to_string()));
        for row in &pending {
            if let Ok(run) = row.id.parse() {
                let due = self.settle(run, row).await?;
                next = Some(next.map_or(due, |next: Instant| next.min(due)));
            }
        }
        Ok(next)
    }

    async fn settle(&mut self, run: RunId, row: &RunRow) -> Result<Instant, JobError> {
        let (first, longest) = SETTLE_EVERY;
        let settling = self.settling.entry(run).or_insert_with(|| Settling {
            due: Instant::now(),
            pause: first,
            is_published: false,
        });
        if settling.due > Instant::now() {
            return Ok(settling.due);
        }
        // An open run publishes its own when it is taken, and each page before the next.
        let is_open = matches!(row.status.as_str(), sync_runs::QUEUED | sync_runs::RUNNING);
        let Some(of_row) = Running::of(row) else {
            return Ok(Instant::now() + longest);
        };
        if !is_open && !settling.is_published {
            let at = Workbench {
                workshop: self.workshop,
                lease: self.lease,
                row,
            };
            settling.is_published = at.publishing(&of_row).leftovers().await?;
        }
        let count = settle(self.workshop, of_row.sync, run).await?;
        settling.pause = match count {
            0 => (settling.pause * 2).min(longest),
            _ => first,
        };
        settling.due = Instant::now() + settling.pause;
        Ok(settling.due)
    }

    /// Removes a step of what each deleted sync has left.
    async fn sweep(&mut self) -> Result<(), JobError> {
        let reader = self.workshop.store.reader();
        for sync in sync_leftovers::open(reader, self.lease.partition()).await? {
            let transaction = self.workshop.store.write().await?;
            sync_leftovers::sweep(&*transaction, &sync, SWEEP_STEP).await?;
            transaction.commit().await?;
        }
        Ok(())
    }
}
