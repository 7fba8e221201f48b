//! The thread on which one worker claims, hands over and loses partitions.
//!
//! Decisions are the domain's; here they are carried out: keys are watched and written, changes
//! are told to the worker.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::jetstream::kv::{Entry, Operation, Watch};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use hookrail_domain::ownership::{ClaimDecision, OwnerValue, WorkerId, decide_claim, wanted_owner};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use crate::boot_clock::boot_now_ms;
use crate::connection::Broker;
use crate::error::BrokerError;
use crate::heartbeat::{Heartbeat, HeldLeases};
use crate::lease::{Lease, Validity};
use crate::owner_keys::{KeyChange, OwnerKeys, SeenOwner};
use crate::ownership::{HandOver, OwnershipChange, OwnershipSettings};
use crate::random::random_bits;
use crate::settings::BrokerSettings;

/// How long a partition is left alone after a claim failed or was given up.
const CLAIM_PAUSE_MS: i64 = 500;

/// After how many lease times of silence a dead worker's heartbeat is removed.
const FORGET_AFTER_TTLS: i64 = 60;

/// How long the marker of a removed heartbeat is kept.
const MARKER_TTL: Duration = Duration::from_secs(3_600);

/// How many changes of keys are taken in before decisions are made again.
const CHANGES_AT_ONCE: usize = 256;

pub(crate) enum Command {
    GiveUp {
        partition: u32,
        epoch: u64,
    },
    ReleaseAll {
        grace: Duration,
        done: oneshot::Sender<()>,
    },
}

/// What the thread is started with.
pub(crate) struct Parts {
    pub(crate) broker: BrokerSettings,
    pub(crate) settings: OwnershipSettings,
    pub(crate) held: Arc<HeldLeases>,
    pub(crate) without_owner: Arc<AtomicUsize>,
    pub(crate) changes: mpsc::Sender<OwnershipChange>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) started: oneshot::Sender<Result<(), BrokerError>>,
}

/// Starts the thread; it ends when the commands' sender is dropped or all is released.
pub(crate) fn spawn_thread(parts: Parts) -> Result<(), BrokerError> {
    let failed = |error: std::io::Error| BrokerError::request("starting the ownership thread", error);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    std::thread::Builder::new()
        .name(format!("lease-{}", parts.settings.role.token()))
        .spawn(move || runtime.block_on(run(parts)))
        .map(drop)
        .map_err(failed)
}

async fn run(parts: Parts) {
    let Parts {
        broker,
        settings,
        held,
        without_owner,
        changes,
        mut commands,
        started,
    } = parts;
    let mut keeper = match Keeper::join(&broker, settings, held, changes).await {
        Ok(keeper) => keeper,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    keeper.without_owner = without_owner;
    if started.send(Ok(())).is_err() {
        return;
    }
    keeper.keep(&mut commands).await;
    keeper.held.end_all();
}

type HandOverEnd = (Lease, HandOver);

/// One worker's ownership, while it lasts.
struct Keeper {
    broker: Broker,
    settings: OwnershipSettings,
    bucket: String,
    keys: OwnerKeys,
    validity: Arc<Validity>,
    held: Arc<HeldLeases>,
    /// For others to read.
    without_owner: Arc<AtomicUsize>,
    last_good_ms: Arc<AtomicI64>,
    heartbeat: tokio::task::JoinHandle<()>,
    changes: mpsc::Sender<OwnershipChange>,
    watch: Option<Watch>,
    watch_began_ms: i64,
    unwanted_since_ms: HashMap<u32, i64>,
    claim_not_before_ms: HashMap<u32, i64>,
    handing_over: HashSet<u32>,
    hand_overs: FuturesUnordered<BoxFuture<'static, HandOverEnd>>,
}

impl Keeper {
    async fn join(
        broker: &BrokerSettings,
        settings: OwnershipSettings,
        held: Arc<HeldLeases>,
        changes: mpsc::Sender<OwnershipChange>,
    ) -> Result<Keeper, BrokerError> {
        let connection_name = format!("lease-{}-{}", settings.role.token(), settings.worker);
        let broker = Broker::connect(broker, &connection_name).await?;
        let bucket = broker.names().owner_bucket();
        let session = random_bits();
        let validity = Arc::new(Validity::default());
        let last_good_ms = Arc::new(AtomicI64::new(0));
        let heartbeat = Heartbeat {
            broker: broker.clone(),
            bucket: bucket.clone(),
            key: broker.names().member_key(settings.role, &settings.worker),
            session,
            times: settings.times(),
            validity: Arc::clone(&validity),
            held: Arc::clone(&held),
            last_good_ms: Arc::clone(&last_good_ms),
        };
        if !heartbeat.beat().await {
            return Err(BrokerError::request(
                "joining",
                "the first heartbeat was not taken",
            ));
        }
        let (role, worker) = (settings.role, settings.worker.clone());
        let keys = OwnerKeys::new(broker.names(), role, settings.partitions, worker, session);
        let heartbeat = tokio::spawn(async move { heartbeat.run().await });
        Ok(Keeper {
            broker,
            settings,
            bucket,
            keys,
            validity,
            held,
            without_owner: Arc::default(),
            last_good_ms,
            heartbeat,
            changes,
            watch: None,
            watch_began_ms: 0,
            unwanted_since_ms: HashMap::new(),
            claim_not_before_ms: HashMap::new(),
            handing_over: HashSet::new(),
            hand_overs: FuturesUnordered::new(),
        })
    }

    async fn keep(&mut self, commands: &mut mpsc::Receiver<Command>) {
        let period = Duration::from_millis((self.settings.ttl_ms / 8).max(20).unsigned_abs());
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    None => return,
                    Some(Command::GiveUp { partition, epoch }) => self.give_up(partition, epoch).await,
                    Some(Command::ReleaseAll { grace, done }) => {
                        self.release_all(grace).await;
                        let _ = done.send(());
                        return;
                    }
                },
                Some((lease, how)) = self.hand_overs.next() => self.hand_over_ended(&lease, how).await,
                changes = next_changes(&mut self.watch) => self.saw(changes),
                _ = ticks.tick() => self.tick().await,
            }
            self.decide().await;
        }
    }

    async fn tick(&mut self) {
        let half_ttl_ms = self.settings.ttl_ms / 2;
        let observed_ms = self.keys.observed_until_ms().unwrap_or(self.watch_began_ms);
        let behind_ms = self.last_good_ms.load(Ordering::Acquire) - observed_ms.max(self.watch_began_ms);
        if self.watch.is_none() || behind_ms > half_ttl_ms {
            self.watch_again().await;
        }
        let silence_ms = self.settings.ttl_ms * FORGET_AFTER_TTLS;
        for worker in self.keys.forget_silent_for(silence_ms) {
            let key = self.broker.names().member_key(self.settings.role, &worker);
            if let Err(error) = self.broker.key_remove(&self.bucket, &key, MARKER_TTL).await {
                tracing::debug!(%worker, %error, "a dead worker's heartbeat was not removed");
            }
        }
    }

    async fn watch_again(&mut self) {
        self.watch_began_ms = boot_now_ms();
        let role = self.settings.role;
        let owners = match role {
            hookrail_domain::ownership::Role::Jobs => "job.*".to_owned(),
            _ => format!("{}.p.*", role.token()),
        };
        let filters = [owners, format!("m.{}.*", role.token())];
        self.watch = match open_watch(&self.broker, &self.bucket, filters).await {
            Ok(watch) => Some(watch),
            Err(error) => {
                tracing::warn!(%error, "the owners can't be watched");
                None
            }
        };
    }

    fn saw(&mut self, entries: Vec<Entry>) {
        if entries.is_empty() {
            self.watch = None;
        }
        let now_ms = boot_now_ms();
        for entry in entries {
            let change = KeyChange {
                key: &entry.key,
                value: (entry.operation == Operation::Put).then_some(entry.value.as_ref()),
                revision: entry.revision,
            };
            self.keys.saw(&change, now_ms);
        }
    }

    async fn decide(&mut self) {
        self.tell_lost().await;
        let Some(observed_until_ms) = self.keys.observed_until_ms() else {
            return;
        };
        if !self.validity.holds() {
            return;
        }
        let me = self.settings.worker.clone();
        let times = self.settings.times();
        let mut members: Vec<WorkerId> = self
            .keys
            .liveness
            .members(observed_until_ms, times)
            .cloned()
            .collect();
        members.push(me.clone());
        self.count_without_owner(observed_until_ms);
        for partition in 0..self.settings.partitions {
            let wanted = wanted_owner(self.settings.role, partition, &members) == Some(&me);
            if self.held.with(|held| held.contains_key(&partition)) {
                self.keep_or_hand_over(partition, wanted).await;
            } else if wanted {
                self.claim_if_free(partition, observed_until_ms).await;
            } else {
                self.disown_leftover(partition).await;
            }
        }
    }

    fn count_without_owner(&self, observed_until_ms: i64) {
        let times = self.settings.times();
        let owned = |partition: &u32| match self.keys.owner(*partition).map(|owner| &owner.value) {
            Some(OwnerValue::Worker(worker)) if *worker == self.settings.worker => {
                self.held.with(|held| held.contains_key(partition))
            }
            Some(OwnerValue::Worker(worker)) => !self.keys.liveness.is_dead(worker, observed_until_ms, times),
            Some(OwnerValue::Free | OwnerValue::Dirty) | None => false,
        };
        let without = (0..self.settings.partitions)
            .filter(|partition| !owned(partition))
            .count();
        self.without_owner.store(without, Ordering::Relaxed);
    }

    /// Tells about leases that ended by themselves or whose key has another owner.
    async fn tell_lost(&mut self) {
        let me = OwnerValue::Worker(self.settings.worker.clone());
        let keys = &self.keys;
        let lost: Vec<Lease> = self.held.with(|held| {
            for (partition, lease) in held.iter() {
                let replaced = keys.owner(*partition).is_some_and(|owner| {
                    owner.revision > lease.epoch() || (owner.revision == lease.epoch() && owner.value != me)
                });
                if replaced {
                    lease.end();
                }
            }
            // One that was given up is let go by its command, without a word.
            let is_lost = |lease: &Lease| lease.is_ended() && !lease.is_given_up();
            let lost: Vec<Lease> = held.values().filter(|lease| is_lost(lease)).cloned().collect();
            held.retain(|_, lease| !is_lost(lease));
            lost
        });
        for lease in lost {
            tracing::warn!(
                partition = lease.partition(),
                epoch = lease.epoch(),
                "lost a partition"
            );
            self.pause_claim(lease.partition(), 0);
            self.tell(OwnershipChange::Lost(lease)).await;
        }
    }

    async fn keep_or_hand_over(&mut self, partition: u32, wanted: bool) {
        if wanted {
            self.unwanted_since_ms.remove(&partition);
            return;
        }
        let now_ms = boot_now_ms();
        let since_ms = *self.unwanted_since_ms.entry(partition).or_insert(now_ms);
        let due = now_ms - since_ms >= self.settings.hand_over_after_ms;
        // One at a time: the rest keeps working meanwhile.
        if due && self.hand_overs.is_empty() {
            self.begin_hand_over(partition).await;
        }
    }

    async fn begin_hand_over(&mut self, partition: u32) {
        let Some(lease) = self.held.with(|held| held.get(&partition).cloned()) else {
            return;
        };
        if !self.handing_over.insert(partition) {
            return;
        }
        let (done, ended) = oneshot::channel();
        let handed = lease.clone();
        let end = async move { (handed, ended.await.unwrap_or(HandOver::Unclean)) };
        self.hand_overs.push(end.boxed());
        self.tell(OwnershipChange::Lose { lease, done }).await;
    }

    async fn hand_over_ended(&mut self, lease: &Lease, how: HandOver) {
        let partition = lease.partition();
        self.handing_over.remove(&partition);
        // A lease that lapsed meanwhile may have a newer owner, and its work was cut off.
        let how = if lease.holds() { how } else { HandOver::Unclean };
        lease.end();
        let removed = self.held.with(|held| match held.get(&partition) {
            Some(current) if current.epoch() == lease.epoch() => held.remove(&partition).is_some(),
            _ => false,
        });
        self.unwanted_since_ms.remove(&partition);
        if removed {
            let value = match how {
                HandOver::Clean => OwnerValue::Free,
                HandOver::Unclean => OwnerValue::Dirty,
            };
            self.write_owner(partition, value, lease.epoch()).await;
        }
    }

    async fn claim_if_free(&mut self, partition: u32, observed_until_ms: i64) {
        let now_ms = boot_now_ms();
        if self
            .claim_not_before_ms
            .get(&partition)
            .is_some_and(|at| now_ms < *at)
        {
            return;
        }
        let owner = self.keys.owner(partition).cloned();
        let times = self.settings.times();
        let dead = match &owner {
            Some(SeenOwner {
                value: OwnerValue::Worker(worker),
                ..
            }) => {
                self.keys.liveness.expect(worker, observed_until_ms);
                self.keys.liveness.is_dead(worker, observed_until_ms, times)
            }
            _ => false,
        };
        let value = owner.as_ref().map(|owner| &owner.value);
        let decision = decide_claim(value, &self.settings.worker, dead);
        if let ClaimDecision::Claim { unclean } = decision {
            let expected = owner.map_or(0, |owner| owner.revision);
            self.claim(partition, expected, unclean).await;
        }
    }

    async fn claim(&mut self, partition: u32, expected: u64, unclean: bool) {
        let mine = OwnerValue::Worker(self.settings.worker.clone());
        let Some(epoch) = self.write_owner(partition, mine, expected).await else {
            self.pause_claim(partition, CLAIM_PAUSE_MS);
            return;
        };
        tracing::info!(
            role = self.settings.role.token(),
            partition,
            epoch,
            unclean,
            "claimed a partition"
        );
        let validity = Arc::clone(&self.validity);
        let lease = Lease::new(self.settings.role, partition, epoch, unclean, validity);
        self.held.with(|held| held.insert(partition, lease.clone()));
        self.tell(OwnershipChange::Gained(lease)).await;
    }

    /// A key that names this worker without a lease is left over from an older self or from a
    /// write that failed: nobody else could claim it while this worker lives.
    async fn disown_leftover(&mut self, partition: u32) {
        let mine = OwnerValue::Worker(self.settings.worker.clone());
        let leftover = self.keys.owner(partition).filter(|owner| owner.value == mine);
        if let Some(revision) = leftover.map(|owner| owner.revision) {
            self.write_owner(partition, OwnerValue::Dirty, revision).await;
        }
    }

    async fn give_up(&mut self, partition: u32, epoch: u64) {
        let removed = self.held.with(|held| match held.get(&partition) {
            Some(lease) if lease.epoch() == epoch => held.remove(&partition).is_some(),
            _ => false,
        });
        if removed {
            self.unwanted_since_ms.remove(&partition);
            self.pause_claim(partition, CLAIM_PAUSE_MS);
            self.write_owner(partition, OwnerValue::Dirty, epoch).await;
        }
    }

    async fn release_all(&mut self, grace: Duration) {
        let leases: Vec<u32> = self.held.with(|held| held.keys().copied().collect());
        for partition in leases {
            self.begin_hand_over(partition).await;
        }
        let deadline = tokio::time::Instant::now() + grace;
        while let Ok(Some((lease, how))) = tokio::time::timeout_at(deadline, self.hand_overs.next()).await {
            self.hand_over_ended(&lease, how).await;
        }
        let left: Vec<Lease> = self
            .held
            .with(|held| held.drain().map(|(_, lease)| lease).collect());
        for lease in left {
            lease.end();
            self.write_owner(lease.partition(), OwnerValue::Dirty, lease.epoch())
                .await;
        }
        self.heartbeat.abort();
        let key = self
            .broker
            .names()
            .member_key(self.settings.role, &self.settings.worker);
        if let Err(error) = self.broker.key_remove(&self.bucket, &key, MARKER_TTL).await {
            tracing::warn!(%error, "the heartbeat was not removed");
        }
        self.broker.close().await;
    }

    /// Writes an owner key by compare-and-set; gives its new revision.
    async fn write_owner(&mut self, partition: u32, value: OwnerValue, expected: u64) -> Option<u64> {
        let key = self.broker.names().owner_key(self.settings.role, partition);
        let bytes = Bytes::from(value.encode());
        let written = self
            .broker
            .key_write_expecting(&self.bucket, &key, bytes, expected)
            .await;
        match written {
            Ok(Some(revision)) => {
                self.keys.wrote(partition, value, revision);
                Some(revision)
            }
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(partition, %error, "an owner key was not written");
                None
            }
        }
    }

    fn pause_claim(&mut self, partition: u32, pause_ms: i64) {
        self.claim_not_before_ms
            .insert(partition, boot_now_ms() + pause_ms);
    }

    async fn tell(&self, change: OwnershipChange) {
        if self.changes.send(change).await.is_err() {
            tracing::debug!("nobody listens to changes of ownership any more");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

async fn open_watch(broker: &Broker, bucket: &str, filters: [String; 2]) -> Result<Watch, BrokerError> {
    let failed = |error: &dyn std::fmt::Display| BrokerError::request("watching the owners", error);
    let store = broker
        .jetstream()
        .get_key_value(bucket)
        .await
        .map_err(|error| failed(&error))?;
    store
        .watch_many_with_history(filters)
        .await
        .map_err(|error| failed(&error))
}

/// Waits for changes, then takes what else has come. Empty when the watch has ended; never
/// returns without a watch.
async fn next_changes(watch: &mut Option<Watch>) -> Vec<Entry> {
    let Some(watch) = watch else {
        return std::future::pending().await;
    };
    let mut entries = Vec::new();
    match watch.next().await {
        Some(Ok(entry)) => entries.push(entry),
        Some(Err(error)) => {
            tracing::warn!(%error, "the watch of the owners ended");
            return entries;
        }
        None => return entries,
    }
    while entries.len() < CHANGES_AT_ONCE {
        match watch.next().now_or_never() {
            Some(Some(Ok(entry))) => entries.push(entry),
            _ => break,
        }
    }
    entries
}
