//! The definitions in force, kept up to date from the broker.
//!
//! A feed watches the bucket of definitions; readers look at the newest snapshot without a lock
//! and may wait for a revision. Definitions are published one by one, in the order of their
//! revisions; that order, and storing them first, is the publisher's business.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_nats::jetstream::kv::{Entry as KeyEntry, Operation, Watch};
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use futures::{FutureExt, StreamExt};
use hookrail_domain::snapshot::{Entry, Key, Snapshot};
use hookrail_keyring::KeyRing;
use tokio::sync::watch;

use crate::codec::key_of_id;
use crate::codec::{decode_entry, encode_entry, entry_key};
use crate::connection::Broker;
use crate::error::BrokerError;
use crate::names::{KEY_ENTRY_PREFIX, Names};
use crate::sealed_entry::open_entry;

/// How long the first reading of all definitions may take.
const FIRST_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the feed makes sure that it has missed nothing.
const CHECK_EVERY: Duration = Duration::from_secs(3);
/// The pause before a watch that failed is opened again.
const REOPEN_PAUSE: Duration = Duration::from_millis(200);
/// How many changes are taken from the watch before anything else is looked at.
const CHANGES_AT_ONCE: usize = 10_000;
/// How long the first reading waits for a change that the watch has announced.
const ANNOUNCED_WAIT: Duration = Duration::from_secs(1);

impl Broker {
    /// Publishes one change of the definitions, its secrets sealed by the caller. To be called in the order of the revisions. May be
    /// repeated: the same entry twice changes nothing.
    pub async fn publish_entry(&self, entry: &Entry) -> Result<(), BrokerError> {
        let key = format!("{KEY_ENTRY_PREFIX}{}", entry_key(entry.key));
        let bucket = self.names().config_bucket();
        self.key_write(&bucket, &key, encode_entry(entry)).await.map(drop)
    }

    /// Removes what is left of a deleted definition, once nothing can refer to it any more. Not for the
    /// newest revision of all: a snapshot that is read afterwards would never reach it.
    pub async fn remove_tombstone(&self, key: Key) -> Result<(), BrokerError> {
        let key = format!("{KEY_ENTRY_PREFIX}{}", entry_key(key));
        let bucket = self.names().config_bucket();
        self.key_remove(&bucket, &key, Duration::from_secs(3_600)).await
    }
}

/// Looks at the newest snapshot. Cheap to clone.
#[derive(Clone)]
pub struct SnapshotReader {
    current: Arc<ArcSwap<Snapshot>>,
    revisions: watch::Receiver<u64>,
}

impl SnapshotReader {
    /// The newest snapshot; never blocks.
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Waits until the snapshot holds `revision` or a newer one; false if that took longer than
    /// `timeout`.
    pub async fn wait_for(&self, revision: u64, timeout: Duration) -> bool {
        if self.current.load().revision() >= revision {
            return true;
        }
        let mut revisions = self.revisions.clone();
        let newer = revisions.wait_for(|newest| *newest >= revision);
        matches!(tokio::time::timeout(timeout, newer).await, Ok(Ok(_)))
    }

    /// The revision of the newest snapshot, as it changes; ends with the feed.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.revisions.clone()
    }
}

/// Keeps a snapshot up to date until it is dropped.
pub struct SnapshotFeed {
    task: tokio::task::JoinHandle<()>,
}

impl SnapshotFeed {
    /// Reads all definitions, then goes on in the background.
    pub async fn start(broker: &Broker) -> Result<(SnapshotFeed, SnapshotReader), BrokerError> {
        let current = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
        let (revision_sender, revisions) = watch::channel(0);
        let mut follower = Follower {
            broker: broker.clone(),
            bucket: broker.names().config_bucket(),
            current: Arc::clone(&current),
            revisions: revision_sender,
            seen_sequence: 0,
            next: None,
        };
        let first = tokio::time::timeout(FIRST_READ_TIMEOUT, follower.read_all()).await;
        let late = |_| BrokerError::request("reading all definitions", "took too long");
        let watch = first.map_err(late)??;
        let task = tokio::spawn(async move { follower.follow(watch).await });
        Ok((SnapshotFeed { task }, SnapshotReader { current, revisions }))
    }
}

impl Drop for SnapshotFeed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Follower {
    broker: Broker,
    bucket: String,
    current: Arc<ArcSwap<Snapshot>>,
    revisions: watch::Sender<u64>,
    /// The bucket's sequence up to which everything was taken in.
    seen_sequence: u64,
    /// What the snapshot becomes once nothing is on its way any more. A bucket keeps a key's newest
    /// change only: a newer revision may have come while that which stands in for an older one has
    /// not, and then a revision would be shown without all that belongs to it.
    next: Option<Snapshot>,
}

impl Follower {
    /// Opens a watch and takes in all that was there when it was opened.
    async fn read_all(&mut self) -> Result<Watch, BrokerError> {
        let mut last = self.last_sequence().await?;
        let mut watch = self.open_watch().await?;
        let mut announced = 0;
        while self.seen_sequence < last || announced > 0 {
            let failed = |reason: String| BrokerError::request("reading all definitions", reason);
            match tokio::time::timeout(ANNOUNCED_WAIT, watch.next()).await {
                Ok(Some(Ok(entry))) => {
                    announced = entry.delta;
                    self.take_in(&entry);
                }
                Ok(Some(Err(error))) => return Err(failed(error.to_string())),
                Ok(None) => return Err(failed("the watch ended".to_owned())),
                Err(_) => {
                    announced = 0;
                    last = self.last_sequence().await?;
                }
            }
        }
        self.show();
        Ok(watch)
    }

    async fn follow(mut self, mut watch: Watch) {
        let mut checks = tokio::time::interval(CHECK_EVERY);
        checks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut behind = false;
        loop {
            let lost = tokio::select! {
                entry = watch.next() => match entry {
                    Some(Ok(entry)) => {
                        self.take_in_with_more(&entry, &mut watch);
                        behind = false;
                        false
                    }
                    Some(Err(_)) | None => true,
                },
                _ = checks.tick() => {
                    // Behind at two checks with nothing in between: the watch is dead.
                    let was_behind = behind;
                    let last = self.last_sequence().await;
                    behind = last.as_ref().is_ok_and(|last| *last > self.seen_sequence);
                    if last.is_ok() && !behind {
                        self.show();
                    }
                    was_behind && behind
                }
            };
            if lost {
                tracing::info!("watching the definitions anew");
                watch = self.reopen().await;
                behind = false;
            }
        }
    }

    async fn reopen(&mut self) -> Watch {
        loop {
            let opened = tokio::time::timeout(FIRST_READ_TIMEOUT, self.read_all()).await;
            match opened {
                Ok(Ok(watch)) => return watch,
                Ok(Err(error)) => tracing::warn!(%error, "the definitions can't be watched"),
                Err(_) => tracing::warn!("reading all definitions took too long"),
            }
            tokio::time::sleep(REOPEN_PAUSE).await;
        }
    }

    /// Takes in what has come, and shows it unless the watch has announced more.
    fn take_in_with_more(&mut self, first: &KeyEntry, watch: &mut Watch) {
        self.take_in(first);
        let mut announced = first.delta;
        for _ in 1..CHANGES_AT_ONCE {
            let Some(Some(Ok(entry))) = watch.next().now_or_never() else {
                break;
            };
            self.take_in(&entry);
            announced = entry.delta;
        }
        if announced == 0 {
            self.show();
        }
    }

    fn take_in(&mut self, entry: &KeyEntry) {
        // A watch that was opened again tells what it told before.
        if entry.revision <= self.seen_sequence {
            return;
        }
        self.seen_sequence = entry.revision;
        if let Some(change) = read_change(&self.broker.settings().key_ring, entry) {
            let current = &self.current;
            let next = self.next.get_or_insert_with(|| Snapshot::clone(&current.load()));
            match change {
                Change::Entry(entry) => next.apply(entry),
                Change::Removed(key) => next.forget(key),
            }
        }
    }

    /// Gives readers what was taken in.
    fn show(&mut self) {
        if let Some(snapshot) = self.next.take() {
            let revision = snapshot.revision();
            self.current.store(Arc::new(snapshot));
            self.revisions.send_replace(revision);
        }
    }

    async fn open_watch(&self) -> Result<Watch, BrokerError> {
        let failed = |reason: String| BrokerError::request("watching the definitions", reason);
        let store = self.broker.jetstream().get_key_value(&self.bucket).await;
        let store = store.map_err(|error| failed(error.to_string()))?;
        let watch = store.watch_with_history(format!("{KEY_ENTRY_PREFIX}>")).await;
        watch.map_err(|error| failed(error.to_string()))
    }

    async fn last_sequence(&self) -> Result<u64, BrokerError> {
        self.broker.newest_definition().await
    }
}

impl Broker {
    /// The bucket's sequence of the newest change, asked from the leader; 0 before the first.
    pub(crate) async fn newest_definition(&self) -> Result<u64, BrokerError> {
        let bucket = self.names().config_bucket();
        let stream = self.stream_ref(&Names::bucket_stream(&bucket)).await?;
        let subject = Names::key_subject(&bucket, &format!("{KEY_ENTRY_PREFIX}>"));
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => Ok(message.sequence),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
            Err(error) => Err(BrokerError::request("the newest definition", error)),
        }
    }
}

/// What a key of the bucket tells.
enum Change {
    /// A change of a definition.
    Entry(Entry),
    /// What was left of a deleted definition is gone.
    Removed(Key),
}

/// The change that a key's entry stands for. One that can't be read leaves what was in force, and
/// its revision unreached, so that what needs it waits.
fn read_change(key_ring: &KeyRing, entry: &KeyEntry) -> Option<Change> {
    if entry.operation != Operation::Put {
        return key_of_id(entry.key.strip_prefix(KEY_ENTRY_PREFIX)?).map(Change::Removed);
    }
    let opened = decode_entry(&entry.value)
        .map_err(|error| error.to_string())
        .and_then(|mut change| match open_entry(key_ring, &mut change) {
            Ok(()) => Ok(Change::Entry(change)),
            Err(error) => Err(format!("a secret: {error}")),
        });
    opened
        .inspect_err(|error| tracing::error!(key = entry.key, error, "a definition can't be read"))
        .ok()
}
