//! What a worker has seen of the owner keys and heartbeats of its role.
//!
//! Fed by a watch of the bucket; asks nobody itself.

use std::collections::HashMap;

use hookrail_domain::ownership::{Liveness, OwnerValue, Role, WorkerId};

use crate::heartbeat::decode_beat;
use crate::names::Names;

/// An owner key's value and revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenOwner {
    pub(crate) value: OwnerValue,
    pub(crate) revision: u64,
}

/// A key's change as the watch tells it.
pub(crate) struct KeyChange<'a> {
    pub(crate) key: &'a str,
    /// None when the key was removed.
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) revision: u64,
}

/// The owners and members of one role as far as they were seen.
pub(crate) struct OwnerKeys {
    member_prefix: String,
    partition_of_key: HashMap<String, u32>,
    me: WorkerId,
    session: u64,
    owners: HashMap<u32, SeenOwner>,
    member_revisions: HashMap<WorkerId, u64>,
    pub(crate) liveness: Liveness,
    observed_until_ms: Option<i64>,
}

impl OwnerKeys {
    pub(crate) fn new(names: &Names, role: Role, partitions: u32, me: WorkerId, session: u64) -> OwnerKeys {
        let partition_of_key = (0..partitions)
            .map(|partition| (names.owner_key(role, partition), partition))
            .collect();
        OwnerKeys {
            member_prefix: format!("m.{}.", role.token()),
            partition_of_key,
            me,
            session,
            owners: HashMap::new(),
            member_revisions: HashMap::new(),
            liveness: Liveness::default(),
            observed_until_ms: None,
        }
    }

    /// The time up to which no change was missed: when the newest own heartbeat that came back
    /// through the watch was sent. None until the first has come.
    pub(crate) fn observed_until_ms(&self) -> Option<i64> {
        self.observed_until_ms
    }

    pub(crate) fn owner(&self, partition: u32) -> Option<&SeenOwner> {
        self.owners.get(&partition)
    }

    /// Notes an owner key that this worker wrote itself.
    pub(crate) fn wrote(&mut self, partition: u32, value: OwnerValue, revision: u64) {
        self.note_owner(partition, SeenOwner { value, revision });
    }

    /// Notes a change. A watch that starts again tells what it told before: only newer revisions
    /// count, else a dead worker would seem alive.
    pub(crate) fn saw(&mut self, change: &KeyChange<'_>, now_ms: i64) {
        if let Some(&partition) = self.partition_of_key.get(change.key) {
            self.saw_owner(partition, change);
        } else if let Some(member) = change.key.strip_prefix(&self.member_prefix)
            && let Ok(worker) = WorkerId::new(member)
        {
            self.saw_member(worker, change, now_ms);
        }
    }

    fn saw_owner(&mut self, partition: u32, change: &KeyChange<'_>) {
        let text = change.value.map(String::from_utf8_lossy);
        let decoded = text.as_deref().map(OwnerValue::decode);
        let value = match decoded {
            Some(Ok(value)) => value,
            // A removed or unreadable key says nothing about what may be in flight.
            None | Some(Err(_)) => {
                tracing::warn!(key = change.key, "owner key without a readable value");
                OwnerValue::Dirty
            }
        };
        let revision = change.revision;
        self.note_owner(partition, SeenOwner { value, revision });
    }

    fn note_owner(&mut self, partition: u32, seen: SeenOwner) {
        let newer = self
            .owners
            .get(&partition)
            .is_none_or(|known| known.revision < seen.revision);
        if newer {
            self.owners.insert(partition, seen);
        }
    }

    fn saw_member(&mut self, worker: WorkerId, change: &KeyChange<'_>, now_ms: i64) {
        if worker == self.me {
            let own = change.value.and_then(|value| decode_beat(self.session, value));
            self.observed_until_ms = self.observed_until_ms.max(own);
            return;
        }
        let known = self.member_revisions.entry(worker.clone()).or_insert(0);
        if *known >= change.revision {
            return;
        }
        *known = change.revision;
        match change.value {
            Some(_) => self.liveness.saw(&worker, now_ms),
            None => self.liveness.saw_removal(&worker, now_ms),
        }
    }

    /// Forgets members silent for `silence_ms`; gives those whose heartbeat is still stored.
    pub(crate) fn forget_silent_for(&mut self, silence_ms: i64) -> Vec<WorkerId> {
        let Some(observed_until_ms) = self.observed_until_ms else {
            return Vec::new();
        };
        self.liveness.forget_silent_for(silence_ms, observed_until_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::encode_beat;
    use hookrail_domain::ownership::LeaseTimes;

    const TIMES: LeaseTimes = LeaseTimes {
        ttl_ms: 100,
        margin_ms: 10,
    };

    fn keys() -> OwnerKeys {
        let me = WorkerId::new("me").unwrap();
        OwnerKeys::new(&Names::new("HOOKRAIL"), Role::Processor, 2, me, 7)
    }

    fn change<'a>(key: &'a str, value: Option<&'a str>, revision: u64) -> KeyChange<'a> {
        KeyChange {
            key,
            value: value.map(str::as_bytes),
            revision,
        }
    }

    #[test]
    fn a_watch_that_starts_again_does_not_revive_the_dead() {
        let mut keys = keys();
        let other = WorkerId::new("other").unwrap();
        keys.saw(&change("m.raw.other", Some("x"), 5), 0);
        keys.saw(&change("m.raw.other", Some("x"), 5), 100);
        assert!(keys.liveness.is_dead(&other, 111, TIMES));
        keys.saw(&change("m.raw.other", Some("x"), 6), 120);
        assert!(!keys.liveness.is_dead(&other, 121, TIMES));
    }

    #[test]
    fn an_older_value_of_an_owner_key_never_replaces_a_newer_one() {
        let mut keys = keys();
        keys.wrote(1, OwnerValue::Free, 9);
        keys.saw(&change("raw.p.1", Some("w:other"), 8), 0);
        assert_eq!(keys.owner(1).unwrap().value, OwnerValue::Free);
        keys.saw(&change("raw.p.1", Some("w:other"), 10), 0);
        assert_eq!(keys.owner(1).unwrap().revision, 10);
    }

    #[test]
    fn only_own_heartbeats_of_this_process_prove_that_nothing_was_missed() {
        let mut keys = keys();
        keys.saw(&change("m.raw.me", Some(&encode_beat(1, 50)), 1), 60);
        assert_eq!(keys.observed_until_ms(), None);
        keys.saw(&change("m.raw.me", Some(&encode_beat(7, 70)), 2), 80);
        assert_eq!(keys.observed_until_ms(), Some(70));
    }

    #[test]
    fn an_unreadable_owner_key_counts_as_dirty_and_foreign_keys_as_nothing() {
        let mut keys = keys();
        keys.saw(&change("raw.p.0", Some("?"), 1), 0);
        keys.saw(&change("raw.p.99", Some("free"), 2), 0);
        keys.saw(&change("dlv.p.1", Some("free"), 3), 0);
        assert_eq!(keys.owner(0).unwrap().value, OwnerValue::Dirty);
        assert_eq!(keys.owner(1), None);
    }
}
