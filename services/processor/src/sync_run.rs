//! A run of a sync at work: a page of rows after another, each compared with what is known, stored as what is to be
//! sent, then published. What is stored moves the run on in the same transaction, so that whoever comes after a crash
//! goes on where this one was, and sends nothing else.

use std::collections::{HashSet, VecDeque};

use hookrail_broker::Lease;
use hookrail_domain::{
    ids::{RunId, SyncId},
    sync::{
        SyncSpec,
        merge::{Reach, pairs},
    },
};
use hookrail_runtime::clock;
use hookrail_store::{foreign::ForeignError, sync_rows, sync_runs, sync_runs::RunRow, sync_sends};

use crate::{
    consume_partition::Workshop,
    jobs::JobError,
    sync_input::{Input, InputError, InputOf, InputRow},
    sync_plan::{Plan, Planning},
    sync_publish::Publishing,
};

/// Rows of a page, and its bytes, roughly.
const PAGE_ROWS: usize = 1_000;
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Known rows read at once.
const KNOWN_AT_ONCE: usize = 1_000;
/// Records of a sync that may be on their way before it reads on: more would only wait in queues.
const AHEAD_MAX: u64 = 5_000;
/// How full a queue of deliveries may be, in percent, before syncs wait: the rest is for what is new.
const FULL_PERCENT: u64 = 50;
/// How often a database that can't be reached is tried, without a row in between, before the run fails.
const TRIES_MAX: u32 = 10;

/// A run that this worker has taken.
pub(crate) struct Running {
    pub(crate) sync: SyncId,
    pub(crate) run: RunId,
    pub(crate) spec: SyncSpec,
    /// `None` until it is opened, or after it broke off.
    input: Option<Input>,
    /// Rows that were read and not gone through.
    ahead: VecDeque<InputRow>,
    ahead_bytes: usize,
    is_read: bool,
    /// The key up to which rows were gone through.
    last_key: Option<String>,
    /// Records sent so far.
    sent: u64,
    tries: u32,
}

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// A page was gone through.
    Page,
    /// All rows are gone through.
    End,
    /// Not now: it waits for this.
    Waits(&'static str),
    /// It can't go on, for this reason.
    Fails(String),
    /// It was cancelled, or another owner has it.
    Gone,
}

impl Running {
    /// Begins, or goes on where `row` says; `None` = its row can't be read.
    pub(crate) fn of(row: &RunRow) -> Option<Self> {
        Some(Self {
            sync: row.sync.parse().ok()?,
            run: row.id.parse().ok()?,
            spec: serde_json::from_str(&row.definition).ok()?,
            input: None,
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            is_read: false,
            last_key: row.last_key.clone(),
            sent: (row.writes + row.deletes).unsigned_abs(),
            tries: 0,
        })
    }

    /// Goes through the next page.
    pub(crate) async fn step(&mut self, at: &Workbench<'_>) -> Result<Stepped, JobError> {
        if let Some(waits) = self.room(at).await? {
            return Ok(waits);
        }
        match self.read_ahead(at).await {
            Ok(()) => {}
            Err(InputError::Store(error)) => return Err(error.into()),
            Err(error) => return Ok(self.broke_off(&error)),
        }
        let (plan, is_end) = self.plan(at).await?;
        let sent = plan.sends.len() as u64;
        if !self.commit(at, &plan).await? {
            return Ok(Stepped::Gone);
        }
        self.sent += sent;
        self.last_key = plan.progress.last_key.or(self.last_key.take());
        if !plan.sends.is_empty() && !at.publishing(self).publish(&plan.sends, &HashSet::new()).await? {
            return Ok(Stepped::Fails("its destination was deleted".to_owned()));
        }
        Ok(if is_end { Stepped::End } else { Stepped::Page })
    }

    /// What it has to wait for, if anything.
    async fn room(&self, at: &Workbench<'_>) -> Result<Option<Stepped>, JobError> {
        let snapshot = at.workshop.snapshots.current();
        if snapshot.revision() < at.row.revision.unsigned_abs() {
            return Ok(Some(Stepped::Waits("definitions")));
        }
        let Some(destination) = snapshot.destination(self.spec.destination) else {
            return Ok(Some(Stepped::Fails("its destination was deleted".to_owned())));
        };
        let reader = at.workshop.store.reader();
        if sync_sends::count(reader, self.sync).await? + PAGE_ROWS as u64 > AHEAD_MAX {
            return Ok(Some(Stepped::Waits("deliveries")));
        }
        let of = at.workshop.broker.settings().partitions;
        let partitions =
            hookrail_domain::partition::of_destination(destination.id, destination.spec.spread, of);
        for partition in partitions.into_keys() {
            if at.workshop.broker.delivery_state(partition).await?.percent() >= FULL_PERCENT {
                return Ok(Some(Stepped::Waits("room")));
            }
        }
        Ok(None)
    }

    /// Reads rows until there is a page of them.
    async fn read_ahead(&mut self, at: &Workbench<'_>) -> Result<(), InputError> {
        while !self.is_read && self.ahead.len() < PAGE_ROWS && self.ahead_bytes < PAGE_BYTES {
            let of = InputOf {
                workshop: at.workshop,
                workspace: &at.row.workspace,
                spec: &self.spec,
            };
            let input = match &mut self.input {
                Some(input) => input,
                None => {
                    let after = self.ahead.back().map(|row| row.key.clone());
                    let opened = of.open(after.or_else(|| self.last_key.clone())).await?;
                    self.input.insert(opened)
                }
            };
            let Some(rows) = of.next(input).await? else {
                self.is_read = true;
                return Ok(());
            };
            self.tries = 0;
            for row in rows {
                self.take_in(row)?;
            }
        }
        Ok(())
    }

    fn take_in(&mut self, row: InputRow) -> Result<(), InputError> {
        let before = self.ahead.back().map(|row| &row.key).or(self.last_key.as_ref());
        match before.map(|before| before.cmp(&row.key)) {
            Some(std::cmp::Ordering::Equal) => {
                let told = row.key.replace('\u{1}', ", ");
                return Err(InputError::Refused(format!(
                    "the primary key {told} is there more than once"
                )));
            }
            Some(std::cmp::Ordering::Greater) => {
                return Err(InputError::Refused(
                    "rows came out of the order of their keys".to_owned(),
                ));
            }
            _ => {}
        }
        self.ahead_bytes += row.size();
        self.ahead.push_back(row);
        Ok(())
    }

    /// What was read and not gone through is read again, behind the last page.
    fn broke_off(&mut self, error: &InputError) -> Stepped {
        self.input = None;
        self.ahead.clear();
        self.ahead_bytes = 0;
        self.tries += 1;
        let passes = match error {
            InputError::Foreign(ForeignError::TimedOut) => self.tries <= 1,
            InputError::Foreign(error) => error.may_pass() && self.tries < TRIES_MAX,
            _ => false,
        };
        tracing::warn!(run = %self.run, %error, passes, "reading the rows of a sync broke off");
        match passes {
            true => Stepped::Waits("connection"),
            false => Stepped::Fails(error.to_string()),
        }
    }

    /// The plan of the next page, and whether it is the last.
    async fn plan(&mut self, at: &Workbench<'_>) -> Result<(Plan, bool), JobError> {
        let last_seen = self.ahead.back().map(|row| row.key.clone());
        // What is known behind the last row matters only where rows that have gone do.
        let is_bounded = !self.is_read || !self.spec.mode.deletes();
        let bound = last_seen.as_deref().filter(|_| is_bounded);
        let known = match (is_bounded, bound) {
            (true, None) => Vec::new(),
            _ => {
                let after = self.last_key.as_deref();
                let reader = at.workshop.store.reader();
                sync_rows::page(reader, self.sync, after, bound, KNOWN_AT_ONCE as u32).await?
            }
        };
        let known_last = known.last().map(|record| record.row_key.clone());
        let of_known = match &known_last {
            Some(last) if known.len() >= KNOWN_AT_ONCE => Reach::To(last),
            _ => Reach::End,
        };
        let of_seen = match &last_seen {
            _ if self.is_read => Reach::End,
            Some(last) => Reach::To(last),
            None => Reach::End,
        };
        let reach = of_seen.min(of_known);
        let count = self.ahead.partition_point(|row| reach.covers(&row.key));
        let seen: Vec<InputRow> = self.ahead.drain(..count).collect();
        self.ahead_bytes = self.ahead.iter().map(InputRow::size).sum();
        let planning = Planning {
            spec: &self.spec,
            sync: &at.row.sync,
            run: self.run,
            created_at: at.row.created_at,
            sent_before: self.sent,
        };
        let known: Vec<_> = known
            .into_iter()
            .filter(|record| reach.covers(&record.row_key))
            .collect();
        let mut plan = planning.plan(pairs(seen, known, |seen, known| seen.key.cmp(&known.row_key)));
        plan.progress.last_key = match reach {
            Reach::To(key) => Some(key.to_owned()),
            Reach::End => last_seen.clone().max(known_last.clone()),
        };
        Ok((plan, reach == Reach::End))
    }

    async fn commit(&self, at: &Workbench<'_>, plan: &Plan) -> Result<bool, JobError> {
        let transaction = at.workshop.store.write().await?;
        let epoch = at.lease.epoch();
        if !sync_runs::advance(&*transaction, self.run, epoch, &plan.progress).await? {
            transaction.rollback().await?;
            return Ok(false);
        }
        sync_rows::put(&*transaction, self.sync, &plan.known).await?;
        sync_sends::insert(&*transaction, &plan.sends).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// What a run is worked on with.
pub(crate) struct Workbench<'a> {
    pub(crate) workshop: &'a Workshop,
    pub(crate) lease: &'a Lease,
    pub(crate) row: &'a RunRow,
}

impl Workbench<'_> {
    /// For publishing what the run has stored.
    pub(crate) fn publishing<'b>(&'b self, running: &'b Running) -> Publishing<'b> {
        Publishing {
            workshop: self.workshop,
            lease: self.lease,
            row: self.row,
            run: running.run,
            spec: &running.spec,
        }
    }

    /// All rows are gone through.
    pub(crate) async fn end(&self, run: RunId) -> Result<(), JobError> {
        let transaction = self.workshop.store.write().await?;
        sync_runs::read_all(&*transaction, run, self.lease.epoch(), clock::now_ms()).await?;
        transaction.commit().await?;
        tracing::info!(%run, "all rows of a sync's run are gone through");
        Ok(())
    }

    /// It can't go on.
    pub(crate) async fn fail(&self, run: RunId, reason: &str) -> Result<(), JobError> {
        let transaction = self.workshop.store.write().await?;
        sync_runs::fail(&*transaction, run, self.lease.epoch(), reason, clock::now_ms()).await?;
        transaction.commit().await?;
        tracing::warn!(%run, reason, "a sync's run has failed");
        Ok(())
    }
}
