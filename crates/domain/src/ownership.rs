//! Who may own a partition: the pure rules.
//!
//! One partition has one owner. Owners are found by rendezvous hashing over the live members of a
//! role, hold their partitions only while their own heartbeats are good, and are called dead only
//! after a time-to-live and a margin without a sign of life, each by its own clock; so no clocks
//! need to agree. All times here are milliseconds of one machine's boot-time clock, never of the
//! calendar. Nothing here talks to a broker: facts go in, decisions come out.

use std::collections::HashMap;
use std::fmt;

use sha2::{Digest, Sha256};

/// Longest accepted worker id, in bytes.
pub const WORKER_ID_MAX_BYTES: usize = 64;

/// Into how many shards background jobs are divided; each is one worker's at a time. Part of the data at
/// rest: a job's row names its shard.
pub const JOB_SHARDS: u32 = 4;

/// What a worker does with the partitions that it owns. Each role has its own members and owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Owns raw partitions: evaluates events.
    Processor,
    /// Owns delivery partitions: sends deliveries.
    Dispatcher,
    /// Owns fixed shards of background jobs.
    Jobs,
}

impl Role {
    /// The role's token in keys.
    pub fn token(self) -> &'static str {
        match self {
            Role::Processor => "raw",
            Role::Dispatcher => "dlv",
            Role::Jobs => "job",
        }
    }
}

/// A worker's name among the members of its role: ASCII letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(String);

/// A worker id is empty, too long, or has a character that keys can't carry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a worker id has 1 to {WORKER_ID_MAX_BYTES} of A-Z, a-z, 0-9, '-' and '_': {0:?} does not")]
pub struct WorkerIdError(pub String);

impl WorkerId {
    /// Checks the text.
    pub fn new(text: impl Into<String>) -> Result<WorkerId, WorkerIdError> {
        let text = text.into();
        let fits = (1..=WORKER_ID_MAX_BYTES).contains(&text.len());
        let clean = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if fits && clean {
            Ok(WorkerId(text))
        } else {
            Err(WorkerIdError(text))
        }
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an owner key says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerValue {
    /// Owned by this worker.
    Worker(WorkerId),
    /// Handed over cleanly: nothing of the last owner is in flight.
    Free,
    /// Given up while something may still be in flight.
    Dirty,
}

/// An owner key holds something that no version of Hookrail writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an owner key holds {0:?}")]
pub struct OwnerValueError(pub String);

impl OwnerValue {
    /// The key's value: `w:<worker>`, `free` or `dirty`.
    pub fn encode(&self) -> String {
        match self {
            OwnerValue::Worker(worker) => format!("w:{worker}"),
            OwnerValue::Free => "free".to_owned(),
            OwnerValue::Dirty => "dirty".to_owned(),
        }
    }

    /// Reads a key's value.
    pub fn decode(text: &str) -> Result<OwnerValue, OwnerValueError> {
        let refused = || OwnerValueError(text.to_owned());
        match text {
            "free" => Ok(OwnerValue::Free),
            "dirty" => Ok(OwnerValue::Dirty),
            _ => {
                let worker = text.strip_prefix("w:").ok_or_else(refused)?;
                WorkerId::new(worker)
                    .map(OwnerValue::Worker)
                    .map_err(|_| refused())
            }
        }
    }
}

/// The member that should own a partition: the one with the highest hash of (role, partition,
/// member), so that a member that comes or goes moves only its own share.
pub fn wanted_owner<'a>(
    role: Role,
    partition: u32,
    members: impl IntoIterator<Item = &'a WorkerId>,
) -> Option<&'a WorkerId> {
    members
        .into_iter()
        .max_by_key(|member| (weight(role, partition, member), *member))
}

fn weight(role: Role, partition: u32, member: &WorkerId) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(role.token());
    hash.update(partition.to_be_bytes());
    hash.update(member.as_str());
    let digest = hash.finalize();
    let mut weight = [0; 8];
    weight.copy_from_slice(&digest[..8]);
    weight
}

/// The two times that every worker of an installation must agree on, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// How long one heartbeat is good for.
    pub ttl_ms: i64,
    /// Taken off by the owner, added by everybody else.
    pub margin_ms: i64,
}

impl LeaseTimes {
    /// Until when a worker may act after a heartbeat whose put began at `put_started_ms`.
    pub fn holds_until(self, put_started_ms: i64) -> i64 {
        put_started_ms + self.ttl_ms - self.margin_ms
    }

    /// How long without a change an observer waits before it calls a worker dead.
    pub fn dead_after_ms(self) -> i64 {
        self.ttl_ms + self.margin_ms
    }
}

/// What one observer has seen of the members of a role, by the observer's own clock.
///
/// A worker that was never seen counts as seen when first asked about, so an observer that has
/// just started never calls anybody dead at once.
#[derive(Debug, Default)]
pub struct Liveness {
    seen: HashMap<WorkerId, Sighting>,
}

#[derive(Debug)]
struct Sighting {
    changed_at_ms: i64,
    present: bool,
}

impl Liveness {
    /// A worker's heartbeat changed.
    pub fn saw(&mut self, worker: &WorkerId, now_ms: i64) {
        self.note(worker, now_ms, true);
    }

    /// A worker's heartbeat was removed: it is no member, but may still hold a lease for a while.
    pub fn saw_removal(&mut self, worker: &WorkerId, now_ms: i64) {
        self.note(worker, now_ms, false);
    }

    /// An owner key names this worker: from now on its silence counts.
    pub fn expect(&mut self, worker: &WorkerId, now_ms: i64) {
        if !self.seen.contains_key(worker) {
            self.note(worker, now_ms, false);
        }
    }

    fn note(&mut self, worker: &WorkerId, now_ms: i64, present: bool) {
        let sighting = Sighting {
            changed_at_ms: now_ms,
            present,
        };
        self.seen.insert(worker.clone(), sighting);
    }

    /// Whether a worker's silence has lasted long enough. `observed_until_ms` is the time up to
    /// which the observer knows that it has missed no change, which may be well before now.
    pub fn is_dead(&self, worker: &WorkerId, observed_until_ms: i64, times: LeaseTimes) -> bool {
        self.seen
            .get(worker)
            .is_some_and(|sighting| observed_until_ms - sighting.changed_at_ms > times.dead_after_ms())
    }

    /// The members that are present and not dead.
    pub fn members(&self, observed_until_ms: i64, times: LeaseTimes) -> impl Iterator<Item = &WorkerId> {
        self.seen
            .iter()
            .filter(move |(worker, sighting)| {
                sighting.present && !self.is_dead(worker, observed_until_ms, times)
            })
            .map(|(worker, _)| worker)
    }

    /// Forgets workers that have been silent for so long that nothing can depend on them; gives
    /// those whose heartbeat is still stored, so that it can be removed.
    pub fn forget_silent_for(&mut self, silence_ms: i64, observed_until_ms: i64) -> Vec<WorkerId> {
        let mut stored = Vec::new();
        self.seen.retain(|worker, sighting| {
            let keep = observed_until_ms - sighting.changed_at_ms <= silence_ms;
            if !keep && sighting.present {
                stored.push(worker.clone());
            }
            keep
        });
        stored
    }
}

/// Whether a worker should claim a partition now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimDecision {
    /// Not now: it is owned by somebody who may be alive.
    Leave,
    /// Claim by compare-and-set. `unclean` when the last owner's work may still be in flight.
    Claim {
        /// Whether the last owner did not hand over cleanly.
        unclean: bool,
    },
}

/// Decides about a partition that this worker is wanted for and does not hold a lease of.
///
/// `owner` is the owner key's value, none where it was never written. `owner_dead` says whether
/// the named owner is dead by [`Liveness::is_dead`]. No two live processes ever have the same
/// worker id, so a key that names `me` was written by an older self, which is dead, or by a claim
/// whose outcome this process never learnt.
pub fn decide_claim(owner: Option<&OwnerValue>, me: &WorkerId, owner_dead: bool) -> ClaimDecision {
    match owner {
        None | Some(OwnerValue::Free) => ClaimDecision::Claim { unclean: false },
        Some(OwnerValue::Dirty) => ClaimDecision::Claim { unclean: true },
        Some(OwnerValue::Worker(owner)) => {
            if owner == me || owner_dead {
                ClaimDecision::Claim { unclean: true }
            } else {
                ClaimDecision::Leave
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIMES: LeaseTimes = LeaseTimes {
        ttl_ms: 10_000,
        margin_ms: 1_000,
    };

    fn worker(text: &str) -> WorkerId {
        WorkerId::new(text).unwrap()
    }

    #[test]
    fn worker_ids_with_characters_that_keys_cannot_carry_are_refused() {
        for text in ["", "a.b", "a b", "a*", "ä", &"x".repeat(65)] {
            assert!(WorkerId::new(text).is_err(), "{text:?}");
        }
        assert_eq!(worker("pod-7_a").as_str(), "pod-7_a");
    }

    #[test]
    fn owner_values_survive_encoding_and_others_are_refused() {
        for value in [
            OwnerValue::Free,
            OwnerValue::Dirty,
            OwnerValue::Worker(worker("free")),
        ] {
            assert_eq!(OwnerValue::decode(&value.encode()), Ok(value));
        }
        for text in ["", "w:", "w:a.b", "FREE", "worker"] {
            assert!(OwnerValue::decode(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_owner_stops_before_anybody_calls_it_dead() {
        let mut liveness = Liveness::default();
        liveness.saw(&worker("a"), 5);
        assert_eq!(TIMES.holds_until(5), 9_005);
        assert!(!liveness.is_dead(&worker("a"), 11_005, TIMES));
        assert!(liveness.is_dead(&worker("a"), 11_006, TIMES));
    }

    #[test]
    fn an_unknown_worker_is_not_dead_until_it_was_expected_for_long_enough() {
        let mut liveness = Liveness::default();
        assert!(!liveness.is_dead(&worker("a"), i64::MAX, TIMES));
        liveness.expect(&worker("a"), 100);
        liveness.expect(&worker("a"), 9_000);
        assert!(liveness.is_dead(&worker("a"), 11_101, TIMES));
        assert_eq!(liveness.members(200, TIMES).count(), 0);
    }

    #[test]
    fn a_removed_heartbeat_ends_membership_but_not_the_wait() {
        let mut liveness = Liveness::default();
        liveness.saw(&worker("a"), 0);
        liveness.saw_removal(&worker("a"), 1_000);
        assert_eq!(liveness.members(1_000, TIMES).count(), 0);
        assert!(!liveness.is_dead(&worker("a"), 12_000, TIMES));
        assert!(liveness.is_dead(&worker("a"), 12_001, TIMES));
    }

    #[test]
    fn workers_silent_for_very_long_are_forgotten_and_their_heartbeats_named() {
        let mut liveness = Liveness::default();
        liveness.saw(&worker("a"), 0);
        liveness.saw_removal(&worker("b"), 0);
        liveness.saw(&worker("c"), 900);
        assert_eq!(liveness.forget_silent_for(1_000, 1_001), vec![worker("a")]);
        let left: Vec<_> = liveness.members(1_001, TIMES).cloned().collect();
        assert_eq!(left, vec![worker("c")]);
    }

    #[test]
    fn claims_follow_the_table() {
        let me = worker("me");
        let mine = OwnerValue::Worker(me.clone());
        let other = OwnerValue::Worker(worker("other"));
        let clean = ClaimDecision::Claim { unclean: false };
        let unclean = ClaimDecision::Claim { unclean: true };
        let table = [
            (None, false, clean),
            (Some(&OwnerValue::Free), false, clean),
            (Some(&OwnerValue::Dirty), false, unclean),
            (Some(&other), false, ClaimDecision::Leave),
            (Some(&other), true, unclean),
            (Some(&mine), false, unclean),
        ];
        for (owner, dead, expected) in table {
            let found = decide_claim(owner, &me, dead);
            assert_eq!(found, expected, "{owner:?} dead={dead}");
        }
    }

    proptest! {
        #[test]
        fn all_members_agree_whatever_order_they_see(
            mut names in proptest::collection::hash_set("[a-z0-9]{1,8}", 1..8),
            partition in 0u32..64,
        ) {
            let members: Vec<_> = names.drain().map(|n| worker(&n)).collect();
            let forwards = wanted_owner(Role::Processor, partition, &members).cloned();
            let backwards = wanted_owner(Role::Processor, partition, members.iter().rev()).cloned();
            prop_assert!(forwards.is_some());
            prop_assert_eq!(forwards, backwards);
        }

        #[test]
        fn a_member_that_leaves_moves_only_its_own_partitions(
            mut names in proptest::collection::hash_set("[a-z0-9]{1,8}", 2..8),
            partition in 0u32..64,
        ) {
            let mut members: Vec<_> = names.drain().map(|n| worker(&n)).collect();
            let gone = members.pop().unwrap();
            let after = wanted_owner(Role::Dispatcher, partition, &members).cloned();
            members.push(gone.clone());
            let before = wanted_owner(Role::Dispatcher, partition, &members).cloned();
            prop_assert!(before == after || before == Some(gone));
        }
    }
}
