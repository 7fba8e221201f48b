//! Working on the imports of a shard: a chunk of lines of each in turn, as fast as the events are processed. A
//! chunk is put into the log, then taken off the import in one transaction. After a crash it is put there
//! again, under the same ids, which the broker knows for two minutes, and the processing for good.

use std::collections::HashMap;
use std::time::Duration;

use hookrail_broker::Lease;
use hookrail_domain::ids::ImportId;
use hookrail_runtime::clock;
use hookrail_store::{
    import_lines,
    imports::{self, ImportRow},
    open_jobs::JobKind,
};
use tokio::time::Instant;

use crate::{
    consume_partition::Workshop,
    error::GiveUp,
    import_chunk::{Loaded, Loading, load},
    jobs::{JobError, RETRY_PAUSE},
    shard_turns::{NextTurn, Shift, Turns, take_turns},
};

/// Imports of a shard that are worked on side by side; more wait for their turn.
const IMPORTS_AT_ONCE: u32 = 4;
/// How often a shard with imports looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The pause while an import waits for something.
const WAIT_PAUSE: Duration = Duration::from_millis(500);
/// How often an import is taken without getting further before it is given up.
const STALLS_MAX: i64 = 10;
/// Chunks of an ended import removed at once.
const SWEEP_STEP: u32 = 20;
/// After how long without a line an upload counts as broken off, milliseconds.
const UPLOAD_IDLE_MS: i64 = 600_000;
/// How often uploads are looked at.
const UPLOADS_EVERY: Duration = Duration::from_secs(60);

/// Works on the shard's imports until the shift ends.
pub(crate) async fn import_shard(workshop: &Workshop, shift: &Shift<'_>) -> Result<(), GiveUp> {
    let mut shard = Shard {
        workshop,
        lease: shift.lease,
        due: HashMap::new(),
        uploads_due: Instant::now(),
    };
    take_turns(&mut shard, shift).await
}

struct Shard<'a> {
    workshop: &'a Workshop,
    lease: &'a Lease,
    /// The imports that this worker has taken, and when each is next.
    due: HashMap<ImportId, Instant>,
    uploads_due: Instant,
}

impl Turns for Shard<'_> {
    const KIND: JobKind = JobKind::Imports;

    /// Gives each import that is due its turn; says when there is something to do again.
    async fn turn(&mut self) -> Result<NextTurn, JobError> {
        self.give_up_uploads().await?;
        let reader = self.workshop.store.reader();
        let open = imports::open(reader, self.lease.partition(), IMPORTS_AT_ONCE).await?;
        let mut next = Instant::now() + LOOK_EVERY;
        let mut seen = Vec::with_capacity(open.len());
        for row in &open {
            let Ok(id) = row.id.parse::<ImportId>() else {
                continue;
            };
            seen.push(id);
            let worked = match row.status.as_str() {
                imports::QUEUED | imports::RUNNING => self.work(id, row).await,
                _ => self.sweep(id).await,
            };
            next = next.min(match worked {
                Err(JobError::GiveUp(reason)) => return Err(reason.into()),
                Err(error) => {
                    tracing::warn!(import = %id, %error, "working on an import again");
                    self.later(id, RETRY_PAUSE)
                }
                Ok(due) => due,
            });
        }
        self.due.retain(|id, _| seen.contains(id));
        if open.is_empty() {
            return Ok(NextTurn::OnceOpen);
        }
        Ok(NextTurn::In(next.saturating_duration_since(Instant::now())))
    }
}

impl Shard<'_> {
    fn later(&mut self, id: ImportId, pause: Duration) -> Instant {
        let due = Instant::now() + pause;
        self.due.insert(id, due);
        due
    }

    async fn work(&mut self, id: ImportId, row: &ImportRow) -> Result<Instant, JobError> {
        match self.due.get(&id).copied() {
            Some(due) if due > Instant::now() => return Ok(due),
            Some(_) => {}
            None if self.take(id, row).await? => {}
            None => return Ok(Instant::now() + LOOK_EVERY),
        }
        let loading = Loading {
            workshop: self.workshop,
            lease: self.lease,
            import: id,
            row,
        };
        match load(&loading).await? {
            Loaded::Chunk => Ok(self.later(id, Duration::ZERO)),
            Loaded::Nothing => self.end(id, None).await,
            Loaded::Refused(reason) => self.end(id, Some(reason)).await,
            Loaded::Waits(what) if row.waits_for.as_deref() == Some(what) && row.stalls == 0 => {
                Ok(self.later(id, WAIT_PAUSE))
            }
            Loaded::Waits(what) => {
                let transaction = self.workshop.store.write().await?;
                imports::waits(&*transaction, id, self.lease.epoch(), what).await?;
                transaction.commit().await?;
                Ok(self.later(id, WAIT_PAUSE))
            }
        }
    }

    async fn take(&mut self, id: ImportId, row: &ImportRow) -> Result<bool, JobError> {
        let epoch = self.lease.epoch();
        let transaction = self.workshop.store.write().await?;
        let taken = imports::take(&*transaction, id, epoch, clock::now_ms()).await?;
        transaction.commit().await?;
        if taken && row.stalls >= STALLS_MAX {
            let reason = "every worker that took it up ended before it got any further";
            self.end(id, Some(reason)).await?;
            return Ok(false);
        }
        if taken {
            tracing::info!(import = %id, epoch, "working on an import");
            self.due.insert(id, Instant::now());
        }
        Ok(taken)
    }

    /// Ends an import, well or with an error. What is left of it is swept up by the next turns.
    async fn end(&mut self, id: ImportId, error: Option<&str>) -> Result<Instant, JobError> {
        let transaction = self.workshop.store.write().await?;
        let now = clock::now_ms();
        let ended = imports::finish(&*transaction, id, self.lease.epoch(), error, now).await?;
        transaction.commit().await?;
        if ended {
            tracing::info!(import = %id, error, "an import has ended");
        }
        self.due.remove(&id);
        Ok(Instant::now())
    }

    /// Removes what an ended import has left.
    async fn sweep(&mut self, id: ImportId) -> Result<Instant, JobError> {
        self.due.remove(&id);
        let transaction = self.workshop.store.write().await?;
        let swept = import_lines::sweep(&*transaction, id, SWEEP_STEP).await?;
        if swept == 0 {
            imports::swept(&*transaction, id).await?;
        }
        transaction.commit().await?;
        Ok(Instant::now() + RETRY_PAUSE / 20)
    }

    async fn give_up_uploads(&mut self) -> Result<(), JobError> {
        if self.uploads_due > Instant::now() {
            return Ok(());
        }
        self.uploads_due = Instant::now() + UPLOADS_EVERY;
        let now = clock::now_ms();
        let transaction = self.workshop.store.write().await?;
        let shard = self.lease.partition();
        imports::give_up_uploads(&*transaction, shard, now - UPLOAD_IDLE_MS, now).await?;
        Ok(transaction.commit().await?)
    }
}
