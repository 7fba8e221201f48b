//! Working on the replays of a shard: a page of each in turn, at a steady pace. A page is published, then
//! committed together with what it took off the replay's list, so that whoever comes after a crash goes on
//! where this one was.

use std::collections::BTreeMap;
use std::time::Duration;

use hookrail_broker::Lease;
use hookrail_domain::ids::ReplayId;
use hookrail_runtime::clock;
use hookrail_store::{
    open_jobs::JobKind,
    replay_items,
    replays::{self, ReplayRow},
};
use tokio::time::Instant;

use crate::{
    consume_partition::Workshop,
    error::GiveUp,
    jobs::{JobError, RETRY_PAUSE},
    replay_deliveries, replay_events,
    replay_order::ReplayOrder,
    replay_page::{Desk, Page},
    replay_selection::{Selecting, select},
    shard_turns::{NextTurn, Shift, Turns, take_turns},
};

/// Replays of a shard that are worked on side by side; more wait for their turn.
const REPLAYS_AT_ONCE: u32 = 4;
/// Items of a page at the most: a fifth of a second's at the usual pace.
const PAGE_ITEMS: usize = 100;
/// Pages a second that a slow pace is divided into.
const PAGES_PER_SECOND: u32 = 5;
/// How often a shard with replays looks whether they are still wanted, and for more.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How often a replay is taken without getting further before it is given up: what ends the process every
/// time must not do so for ever.
const STALLS_MAX: i64 = 10;
/// The pause while deliveries have no room.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(1);
/// Items of an ended replay removed at once.
const SWEEP_STEP: u32 = 1_000;

/// Works on the shard's replays until the shift ends.
pub(crate) async fn replay_shard(workshop: &Workshop, shift: &Shift<'_>) -> Result<(), GiveUp> {
    let mut shard = Shard {
        workshop,
        lease: shift.lease,
        running: BTreeMap::new(),
    };
    take_turns(&mut shard, shift).await
}

struct Shard<'a> {
    workshop: &'a Workshop,
    lease: &'a Lease,
    running: BTreeMap<ReplayId, Running>,
}

/// A replay that this worker has taken.
struct Running {
    /// `None` until all is selected.
    order: Option<ReplayOrder>,
    due: Instant,
    /// So many of the next items may have been published without that being committed: what was in hand
    /// when the owner before ended, or a step failed.
    doubtful: usize,
    /// So many of the next items go one by one: the database refused some of them together.
    one_by_one: usize,
}

impl Turns for Shard<'_> {
    const KIND: JobKind = JobKind::Replays;

    /// Gives each replay that is due its turn; says when there is something to do again.
    async fn turn(&mut self) -> Result<NextTurn, JobError> {
        let open = replays::open(
            self.workshop.store.reader(),
            self.lease.partition(),
            REPLAYS_AT_ONCE,
        )
        .await?;
        let mut next = Instant::now() + LOOK_EVERY;
        let mut seen = Vec::with_capacity(open.len());
        for row in &open {
            let Ok(id) = row.id.parse::<ReplayId>() else {
                continue;
            };
            seen.push(id);
            let worked = match row.status.as_str() {
                replays::QUEUED | replays::RUNNING => self.work(id, row).await,
                _ => self.sweep(id).await,
            };
            next = next.min(match worked {
                Err(JobError::GiveUp(reason)) => return Err(reason.into()),
                // The others go on meanwhile.
                Err(error) => self.failed(id, &error),
                Ok(due) => due,
            });
        }
        self.running.retain(|id, _| seen.contains(id));
        if open.is_empty() {
            return Ok(NextTurn::OnceOpen);
        }
        Ok(NextTurn::In(next.saturating_duration_since(Instant::now())))
    }
}

impl Shard<'_> {
    /// Works on a replay if it is due; gives when it is next.
    async fn work(&mut self, id: ReplayId, row: &ReplayRow) -> Result<Instant, JobError> {
        let later = Instant::now() + LOOK_EVERY;
        if !self.running.contains_key(&id) && !self.take(id, row).await? {
            return Ok(later);
        }
        let Some(running) = self.running.get_mut(&id) else {
            return Ok(later);
        };
        if running.due > Instant::now() {
            return Ok(running.due);
        }
        match row.total {
            None => self.select(id, row).await,
            Some(_) => self.page(id, row).await,
        }
    }

    /// A step did not work: it is tried again a little later, from what was committed.
    fn failed(&mut self, id: ReplayId, error: &JobError) -> Instant {
        tracing::warn!(replay = %id, %error, "working on a replay again");
        let later = Instant::now() + RETRY_PAUSE;
        if let Some(running) = self.running.get_mut(&id) {
            running.order = None;
            running.due = later;
            running.doubtful = PAGE_ITEMS;
        }
        later
    }

    async fn take(&mut self, id: ReplayId, row: &ReplayRow) -> Result<bool, JobError> {
        let epoch = self.lease.epoch();
        let transaction = self.workshop.store.write().await?;
        let taken = replays::take(&*transaction, id, epoch, clock::now_ms()).await?;
        transaction.commit().await?;
        if !taken {
            return Ok(false);
        }
        if row.stalls >= STALLS_MAX {
            self.end(
                id,
                Some("every worker that took it up ended before it got any further"),
            )
            .await?;
            return Ok(false);
        }
        tracing::info!(replay = %id, epoch, "working on a replay");
        let running = Running {
            order: None,
            due: Instant::now(),
            doubtful: if row.started_at.is_some() { PAGE_ITEMS } else { 0 },
            one_by_one: 0,
        };
        self.running.insert(id, running);
        Ok(true)
    }

    async fn select(&mut self, id: ReplayId, row: &ReplayRow) -> Result<Instant, JobError> {
        match select(self.workshop, self.lease.epoch(), id, row).await? {
            Selecting::More | Selecting::All => {}
            Selecting::Refused(reason) => self.end(id, Some(&reason)).await?,
            Selecting::NotOurs => drop(self.running.remove(&id)),
        }
        Ok(Instant::now())
    }

    async fn page(&mut self, id: ReplayId, row: &ReplayRow) -> Result<Instant, JobError> {
        let reader = self.workshop.store.reader();
        let per_second = self.workshop.settings.processor_replay_per_second;
        let Some(running) = self.running.get_mut(&id) else {
            return Ok(Instant::now());
        };
        let order = match &mut running.order {
            Some(order) => order,
            none => none.insert(ReplayOrder::begin(reader, id).await?),
        };
        let most = match running.one_by_one {
            0 => PAGE_ITEMS.min(per_second.div_ceil(PAGES_PER_SECOND) as usize),
            _ => 1,
        };
        let mut items = order.next(reader, id, most).await?;
        if items.is_empty() {
            self.end(id, None).await?;
            return Ok(Instant::now());
        }
        let desk = Desk {
            workshop: self.workshop,
            lease: self.lease,
            replay: id,
            reasons: reasons(&row.reasons),
            resumed: running.doubtful > 0,
        };
        let page = match row.what.as_str() {
            "events" => match replay_events::page(&desk, &items, running.one_by_one > 0).await {
                Err(JobError::Store(error)) if error.is_data_error() && items.len() > 1 => {
                    tracing::warn!(replay = %id, %error, "going one by one");
                    running.one_by_one = items.len();
                    order.give_back(items);
                    return Ok(Instant::now());
                }
                page => page?,
            },
            _ => match replay_deliveries::page(&desk, &items).await {
                // It was read from the same tables, so this is not about a single one.
                Err(JobError::Store(error)) if error.is_data_error() => {
                    self.end(id, Some(&error.to_string())).await?;
                    return Ok(Instant::now());
                }
                page => page?,
            },
        };
        order.give_back(items.split_off(page.taken));
        if page.no_room && row.stalls > 0 {
            let transaction = self.workshop.store.write().await?;
            replays::alive(&*transaction, id, self.lease.epoch()).await?;
            transaction.commit().await?;
        }
        running.one_by_one = running.one_by_one.saturating_sub(page.taken);
        running.doubtful = running.doubtful.saturating_sub(page.taken);
        count(self.workshop, &page);
        running.due = Instant::now();
        running.due += match page.no_room {
            true => NO_ROOM_PAUSE,
            false => Duration::from_secs_f64(page.taken as f64 / f64::from(per_second)),
        };
        Ok(running.due)
    }

    /// Ends a replay, well or with an error. What is left of it is swept up by the next turns.
    async fn end(&mut self, id: ReplayId, error: Option<&str>) -> Result<(), JobError> {
        let transaction = self.workshop.store.write().await?;
        let now = clock::now_ms();
        let ended = replays::finish(&*transaction, id, self.lease.epoch(), error, now).await?;
        transaction.commit().await?;
        if ended {
            tracing::info!(replay = %id, error, "a replay has ended");
        }
        self.running.remove(&id);
        Ok(())
    }

    /// Removes what an ended replay has left.
    async fn sweep(&mut self, id: ReplayId) -> Result<Instant, JobError> {
        self.running.remove(&id);
        let transaction = self.workshop.store.write().await?;
        let swept = replay_items::sweep(&*transaction, id, SWEEP_STEP).await?;
        if swept == 0 {
            replays::swept(&*transaction, id).await?;
        }
        transaction.commit().await?;
        Ok(Instant::now() + RETRY_PAUSE / 20)
    }
}

fn count(workshop: &Workshop, page: &Page) {
    let metric = |result: &str, count: u64| {
        workshop
            .metrics
            .replayed
            .with_label_values(&[result])
            .inc_by(count)
    };
    metric("replayed", page.replayed);
    metric("skipped", page.skipped.values().sum());
}

fn reasons(stored: &str) -> BTreeMap<String, u64> {
    serde_json::from_str(stored).unwrap_or_default()
}
