//! What is held in an owned partition, by source. The owner alone holds and releases events of its partition, so
//! it knows without asking: it asks once, when it takes the partition over.

use std::collections::BTreeMap;
use std::time::Duration;

use hookrail_broker::{Lease, SnapshotReader};
use hookrail_domain::{event::Event, ids::SourceId, snapshot::Snapshot};
use hookrail_store::held_events;

use crate::{back_off::BackOff, consume_partition::Workshop, error::GiveUp};

/// Sources whose events are released side by side, in the order of the log; more wait until these are done.
const RELEASED_AT_ONCE: usize = 16;
/// How long a wait for changed definitions lasts before it begins anew.
const CHANGE_WAIT: Duration = Duration::from_secs(60);

/// The sources that have held events in a partition, with how many.
#[derive(Debug, Default)]
pub(crate) struct HeldSources(BTreeMap<SourceId, u64>);

impl HeldSources {
    /// What is held in a partition that was just taken over: no owner before adds to it any more.
    pub(crate) async fn load(workshop: &Workshop, lease: &Lease) -> Result<Self, GiveUp> {
        let mut back_off = BackOff::usual();
        loop {
            match held_events::of_partition(workshop.store.reader(), lease.partition()).await {
                Ok(held) => return Ok(Self(held)),
                Err(error) => back_off.again(lease, &error).await?,
            }
        }
    }

    /// Whether an event that came has to be held: its source is paused, or has others that are held before it.
    /// What Hookrail makes itself about a source (what its fetcher was answered, a person's deletion) was asked
    /// for, and goes on.
    pub(crate) fn holds(&self, snapshot: &Snapshot, event: &Event) -> bool {
        let source = event.source.filter(|_| !event.internal);
        source.is_some_and(|source| snapshot.holds(source) || self.0.contains_key(&source))
    }

    /// Notes that an event of a source is held.
    pub(crate) fn add(&mut self, source: SourceId) {
        *self.0.entry(source).or_default() += 1;
    }

    /// Notes that an event of a source is held no more.
    pub(crate) fn remove(&mut self, source: SourceId) {
        if let Some(events) = self.0.get_mut(&source) {
            *events = events.saturating_sub(1);
            if *events == 0 {
                self.0.remove(&source);
            }
        }
    }

    /// The sources whose held events may go on.
    pub(crate) fn released(&self, snapshot: &Snapshot) -> Vec<SourceId> {
        let going_on = self.0.keys().filter(|source| !snapshot.holds(**source));
        going_on.copied().take(RELEASED_AT_ONCE).collect()
    }

    /// Returns when held events may go on, at once where they may already. May be dropped while it waits.
    pub(crate) async fn until_released(&self, snapshots: &SnapshotReader) {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        loop {
            let snapshot = snapshots.current();
            if !self.released(&snapshot).is_empty() {
                return;
            }
            let _changed = snapshots.wait_for(snapshot.revision() + 1, CHANGE_WAIT).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use hookrail_domain::{
        ids::WorkspaceId,
        snapshot::{Definition, Entry, Key},
        source::{Source, SourceSpec},
    };

    use super::*;

    fn snapshot(paused: &[(u128, bool)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (revision, (id, paused)) in (1..).zip(paused) {
            let source = Source {
                id: SourceId::from_u128(*id),
                workspace: WorkspaceId::from_u128(1),
                workspace_code: "default".into(),
                token: format!("token-{id}"),
                old_names: vec![],
                api_keys: vec![],
                spec: SourceSpec {
                    paused: *paused,
                    ..SourceSpec::default()
                },
            };
            snapshot.apply(Entry {
                revision,
                key: Key::Source(source.id),
                definition: Some(Definition::Source(Box::new(source))),
            });
        }
        snapshot
    }

    fn event(source: Option<u128>, internal: bool) -> Event {
        let opened = crate::arrivals::open(
            0,
            &hookrail_broker::RawMessage {
                sequence: 1,
                timestamp_ms: 0,
                source: String::new(),
                headers: hookrail_broker::MessageHeaders::default(),
                payload: bytes::Bytes::new(),
            },
        );
        Event {
            source: source.map(SourceId::from_u128),
            internal,
            ..opened.arrival.event
        }
    }

    #[test]
    fn what_is_of_a_paused_source_or_behind_what_is_held_is_held() {
        let snapshot = snapshot(&[(1, true), (2, false), (3, false)]);
        let mut held = HeldSources::default();
        held.add(SourceId::from_u128(2));
        for (source, internal, expected) in [
            (Some(1), false, true),
            (Some(1), true, false),
            (Some(2), false, true),
            (Some(2), true, false),
            (Some(3), false, false),
            (Some(4), false, false),
            (None, false, false),
        ] {
            let event = event(source, internal);
            assert_eq!(held.holds(&snapshot, &event), expected, "{source:?} {internal}");
        }
    }

    #[test]
    fn a_source_is_released_until_the_last_of_its_events_is() {
        let id = SourceId::from_u128;
        let mut held = HeldSources::default();
        for source in [1, 2, 2, 9] {
            held.add(id(source));
        }
        let paused = snapshot(&[(1, true), (2, false)]);
        assert_eq!(
            held.released(&paused),
            [id(2), id(9)],
            "an unknown source is not paused"
        );
        held.remove(id(2));
        assert_eq!(held.released(&paused), [id(2), id(9)]);
        held.remove(id(2));
        held.remove(id(9));
        held.remove(id(9));
        assert!(held.released(&paused).is_empty());
        assert_eq!(held.released(&snapshot(&[(1, false)])), [id(1)]);
    }
}
