//! Every name on the broker: streams, subjects, consumers, buckets and keys.
//!
//! The only place where such names are made. Tokens are ids as they are, or a base32 hash of any
//! other text, so nothing that a user chose can add a token or a wildcard to a subject.

use data_encoding::BASE32_NOPAD;
use hookrail_domain::ids::DestinationId;
use hookrail_domain::lane::{LaneId, LaneKey, ParkedSubject};
use hookrail_domain::ownership::{Role, WorkerId};
use sha2::{Digest, Sha256};

use crate::journal::JournalKind;

/// How many streams share the parked deliveries of all partitions.
pub(crate) const PARKED_STREAMS: u32 = 4;

/// The durable consumer of a raw partition's owner.
pub(crate) const CONSUMER_PROCESSOR: &str = "proc";
/// The durable consumer of a delivery partition's owner.
pub(crate) const CONSUMER_DISPATCHER: &str = "disp";
/// The durable consumer of the journal's writers.
pub(crate) const CONSUMER_JOURNAL: &str = "journal";
/// The durable consumer of notices.
pub(crate) const CONSUMER_CONFIG: &str = "config";

/// The key of the installation's record.
pub(crate) const KEY_INSTALL: &str = "install";
/// The key of the secret by which late answers are asked for.
pub(crate) const KEY_LATE_ANSWERS: &str = "late_answers";
/// The key of the sources that hold as much as they may.
pub(crate) const KEY_FULL_SOURCES: &str = "full_sources";
/// What every definition's key begins with; other keys of the bucket aren't definitions.
pub(crate) const KEY_ENTRY_PREFIX: &str = "d.";

/// What a subject of the parked stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParkedName {
    /// The partition's fence.
    Fence,
    /// Deliveries of a lane or a tier.
    Parked(ParkedSubject),
    /// A lane's state.
    State(LaneId),
}

/// Names under one prefix.
#[derive(Clone, Debug)]
pub struct Names {
    prefix: String,
    subject_root: String,
}

impl Names {
    /// Names under `prefix`, which is upper case in streams and lower case in subjects.
    pub fn new(prefix: &str) -> Names {
        Names {
            prefix: prefix.to_ascii_uppercase(),
            subject_root: prefix.to_ascii_lowercase(),
        }
    }

    /// The prefix, as it stands in stream names.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The stream of one raw partition's events.
    pub fn raw_stream(&self, partition: u32) -> String {
        format!("{}_RAW_{partition}", self.prefix)
    }

    /// The stream of one delivery partition.
    pub fn delivery_stream(&self, partition: u32) -> String {
        format!("{}_DLV_{partition}", self.prefix)
    }

    /// The stream that holds a partition's parked deliveries.
    pub fn parked_stream(&self, partition: u32) -> String {
        format!("{}_PARKED_{}", self.prefix, partition % PARKED_STREAMS)
    }

    /// The stream of dead deliveries on their way to the journal.
    pub fn dead_stream(&self) -> String {
        format!("{}_DEAD", self.prefix)
    }

    /// The stream of journal records.
    pub fn journal_stream(&self) -> String {
        format!("{}_JRN", self.prefix)
    }

    /// The stream of answers to waiting callers.
    pub fn response_stream(&self) -> String {
        format!("{}_RESP", self.prefix)
    }

    /// The stream of bodies that are too large for a message.
    pub fn object_stream(&self) -> String {
        format!("{}_OBJ", self.prefix)
    }

    /// Where a chunk of a body lies. `name` is an owner and a hash, joined by a dot.
    pub(crate) fn object_subject(&self, name: &str, chunk: usize) -> String {
        let (owner, rest) = name.split_once('.').unwrap_or((name, "-"));
        format!(
            "{}.obj.{}.{}.{chunk}",
            self.subject_root,
            token(owner),
            token(rest)
        )
    }

    /// All chunks of a body.
    pub(crate) fn object_subjects(&self, name: &str) -> String {
        let (owner, rest) = name.split_once('.').unwrap_or((name, "-"));
        format!("{}.obj.{}.{}.*", self.subject_root, token(owner), token(rest))
    }

    /// The first chunks of all bodies.
    pub(crate) fn first_chunks(&self) -> String {
        format!("{}.obj.*.*.0", self.subject_root)
    }

    /// The name of the body that a chunk is of.
    pub(crate) fn read_object(&self, subject: &str) -> Option<String> {
        let rest = subject.strip_prefix(&self.subject_root)?.strip_prefix(".obj.")?;
        rest.rsplit_once('.').map(|(name, _)| name.to_owned())
    }

    /// The stream of notices to the config service.
    pub fn notice_stream(&self) -> String {
        format!("{}_NOTICE", self.prefix)
    }

    /// The bucket of definitions.
    pub fn config_bucket(&self) -> String {
        format!("{}_CFG", self.prefix)
    }

    /// The bucket of owners and heartbeats.
    pub fn owner_bucket(&self) -> String {
        format!("{}_OWN", self.prefix)
    }

    /// The stream beneath a bucket.
    pub(crate) fn bucket_stream(bucket: &str) -> String {
        format!("KV_{bucket}")
    }

    /// The subject of a key.
    pub(crate) fn key_subject(bucket: &str, key: &str) -> String {
        format!("$KV.{bucket}.{key}")
    }

    /// Where an event of a source is published. `source` is an id.
    pub fn raw_subject(&self, partition: u32, source: &str) -> String {
        format!("{}.raw.{partition}.{}", self.subject_root, token(source))
    }

    /// All events of one raw partition.
    pub fn raw_subjects(&self, partition: u32) -> String {
        format!("{}.raw.{partition}.*", self.subject_root)
    }

    /// Where a delivery is published. `destination` is an id, `lane` any text.
    pub fn delivery_subject(&self, partition: u32, destination: &str, lane: &str) -> String {
        let root = &self.subject_root;
        let destination = token(destination);
        format!("{root}.dlv.{partition}.{destination}.{}", hashed(lane))
    }

    /// All deliveries of one partition.
    pub fn delivery_subjects(&self, partition: u32) -> String {
        format!("{}.dlv.{partition}.*.*", self.subject_root)
    }

    /// A partition's fence: the epoch below which no parked write is taken.
    pub fn fence_subject(&self, partition: u32) -> String {
        format!("{}.parked.{partition}.fence", self.subject_root)
    }

    /// All parked subjects of a partition.
    pub fn parked_subjects(&self, partition: u32) -> String {
        format!("{}.parked.{partition}.>", self.subject_root)
    }

    /// A partition's subjects of one kind: `k`, `u` or `s`.
    pub(crate) fn parked_kind(&self, partition: u32, kind: &str) -> String {
        format!("{}.parked.{partition}.{kind}.>", self.subject_root)
    }

    /// Where the deliveries of a lane or a tier are parked.
    pub fn parked_subject(&self, partition: u32, to: ParkedSubject) -> String {
        let root = &self.subject_root;
        match to {
            ParkedSubject::Lane(lane) => {
                let number = lane.key.as_u64();
                format!("{root}.parked.{partition}.k.{}.{number:016x}", lane.destination)
            }
            ParkedSubject::Tier(destination, tier) => {
                format!("{root}.parked.{partition}.u.{destination}.{tier}")
            }
        }
    }

    /// All tiers of a destination.
    pub(crate) fn tier_subjects(&self, partition: u32, destination: DestinationId) -> String {
        format!("{}.parked.{partition}.u.{destination}.*", self.subject_root)
    }

    /// Where a parked lane's state is written.
    pub fn lane_state_subject(&self, partition: u32, lane: LaneId) -> String {
        let (root, number) = (&self.subject_root, lane.key.as_u64());
        format!("{root}.parked.{partition}.s.{}.{number:016x}", lane.destination)
    }

    /// Reads a subject of the parked stream back; none for one that has no meaning here.
    pub(crate) fn read_parked(&self, subject: &str) -> Option<ParkedName> {
        let rest = subject
            .strip_prefix(&self.subject_root)?
            .strip_prefix(".parked.")?;
        let mut tokens = rest.split('.').skip(1);
        let kind = tokens.next()?;
        if kind == "fence" {
            return Some(ParkedName::Fence);
        }
        let destination: DestinationId = tokens.next()?.parse().ok()?;
        let last = tokens.next()?;
        let lane = || {
            let key = LaneKey::from_u64(u64::from_str_radix(last, 16).ok()?);
            Some(LaneId { destination, key })
        };
        match kind {
            "k" => Some(ParkedName::Parked(ParkedSubject::Lane(lane()?))),
            "u" => Some(ParkedName::Parked(ParkedSubject::Tier(
                destination,
                last.parse().ok()?,
            ))),
            "s" => Some(ParkedName::State(lane()?)),
            _ => None,
        }
    }

    /// Where the owner of a delivery partition takes commands.
    pub fn command_subject(&self, partition: u32) -> String {
        format!("{}.cmd.dlv.{partition}", self.subject_root)
    }

    /// Where a partition's dead deliveries are published.
    pub fn dead_subject(&self, partition: u32) -> String {
        format!("{}.dead.{partition}", self.subject_root)
    }

    /// Where journal records of a kind and partition are published.
    pub fn journal_subject(&self, kind: JournalKind, partition: u32) -> String {
        format!("{}.jrn.{}.{partition}", self.subject_root, kind.token())
    }

    /// Where notices of a kind are published. The kind's dots would be tokens of their own.
    pub fn notice_subject(&self, kind: &str) -> String {
        let kind = kind.replace('.', "_");
        format!("{}.notice.{}", self.subject_root, token(&kind))
    }

    /// Where the answer to a waiting caller is stored.
    pub fn response_subject(&self, instance: &str, request: &str) -> String {
        let (instance, request) = (token(instance), token(request));
        format!("{}.resp.{instance}.{request}", self.subject_root)
    }

    /// The answer to a request, whoever waited for it.
    pub(crate) fn responses_to(&self, request: &str) -> String {
        format!("{}.resp.*.{}", self.subject_root, token(request))
    }

    /// Where the server tells an instance of the answers that its callers wait for.
    pub(crate) fn told_instance(&self, instance: &str) -> String {
        format!("{}.rr.{}.*", self.subject_root, token(instance))
    }

    /// Where the server tells of the answer to a request, whoever waits for it.
    pub(crate) fn told_request(&self, request: &str) -> String {
        format!("{}.rr.*.{}", self.subject_root, token(request))
    }

    /// Where one waiting caller is told.
    pub(crate) fn told_subject(&self, instance: &str, request: &str) -> String {
        let (instance, request) = (token(instance), token(request));
        format!("{}.rr.{instance}.{request}", self.subject_root)
    }

    /// The stored answers, and what the server republishes them to.
    pub(crate) fn response_republish(&self) -> (String, String) {
        let root = &self.subject_root;
        (
            format!("{root}.resp.*.*"),
            format!("{root}.rr.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}"),
        )
    }

    /// A subject of the root with wildcards.
    pub(crate) fn under_root(&self, rest: &str) -> String {
        format!("{}.{rest}", self.subject_root)
    }

    /// The owner key of a partition.
    pub fn owner_key(&self, role: Role, partition: u32) -> String {
        match role {
            Role::Jobs => format!("job.{partition}"),
            Role::Processor | Role::Dispatcher => format!("{}.p.{partition}", role.token()),
        }
    }

    /// The heartbeat key of a worker.
    pub fn member_key(&self, role: Role, worker: &WorkerId) -> String {
        format!("m.{}.{worker}", role.token())
    }

    /// The mark of the event that a raw partition's owner works on one by one.
    pub fn poison_key(&self, partition: u32) -> String {
        format!("poison.raw.{partition}")
    }
}

/// An id as it is where it can be a token, else its hash.
pub(crate) fn token(text: &str) -> String {
    let clean = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if clean { text.to_owned() } else { hashed(text) }
}

/// A base32 hash of any text: 26 characters, 128 bits.
pub(crate) fn hashed(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    BASE32_NOPAD.encode(&digest[..16])
}

#[cfg(test)]
mod tests {
    use hookrail_domain::{lane::TierKey, short_id::ShortId};

    use super::*;

    #[test]
    fn text_that_a_user_chose_cannot_add_tokens_or_wildcards() {
        let names = Names::new("Acme");
        for lane in ["", "a.b", "*", ">", "ä ö", "x"] {
            let subject = names.delivery_subject(3, "dst_1", lane);
            assert_eq!(subject.split('.').count(), 5, "{subject}");
            assert!(!subject.contains(['*', '>', ' ']), "{subject}");
        }
        assert_eq!(names.raw_subject(0, "src_1"), "acme.raw.0.src_1");
        assert_eq!(names.raw_subject(0, "a.b").split('.').count(), 4);
        assert_eq!(names.raw_stream(7), "ACME_RAW_7");
        assert_eq!(names.notice_subject("a.b"), "acme.notice.a_b");
    }

    #[test]
    fn parked_subjects_are_read_back() {
        let names = Names::new("Acme");
        let destination = DestinationId::from_u128(7);
        for number in [0, 1, u64::MAX] {
            let lane = LaneId {
                destination,
                key: LaneKey::from_u64(number),
            };
            let of_lane = ParkedSubject::Lane(lane);
            let subject = names.parked_subject(3, of_lane);
            assert_eq!(names.read_parked(&subject), Some(ParkedName::Parked(of_lane)));
            let subject = names.lane_state_subject(3, lane);
            assert_eq!(names.read_parked(&subject), Some(ParkedName::State(lane)));
        }
        for key in [TierKey::Step(8), TierKey::Route(ShortId::of(9))] {
            let tier = ParkedSubject::Tier(destination, key);
            let read = names.read_parked(&names.parked_subject(0, tier));
            assert_eq!(read, Some(ParkedName::Parked(tier)));
        }
        assert_eq!(
            names.read_parked(&names.fence_subject(3)),
            Some(ParkedName::Fence)
        );
        for other in [
            "acme.parked.3.k.x.0",
            "acme.dlv.3.k.x.0",
            "other.parked.3.fence",
            "",
        ] {
            assert_eq!(names.read_parked(other), None, "{other}");
        }
    }

    #[test]
    fn a_body_s_name_is_read_back_from_its_chunks() {
        let names = Names::new("Acme");
        let subject = names.object_subject("evt_1.abc-2", 3);
        assert_eq!(subject, "acme.obj.evt_1.abc-2.3");
        assert_eq!(names.read_object(&subject).as_deref(), Some("evt_1.abc-2"));
        assert_eq!(names.object_subjects("evt_1.abc-2"), "acme.obj.evt_1.abc-2.*");
        for hostile in ["*.>", "evt 1", "", "a.b.c"] {
            assert_eq!(
                names.object_subject(hostile, 0).split('.').count(),
                5,
                "{hostile}"
            );
        }
    }

    #[test]
    fn each_role_has_its_own_keys() {
        let names = Names::new("HOOKRAIL");
        let worker = WorkerId::new("w1").unwrap();
        assert_eq!(names.owner_key(Role::Processor, 2), "raw.p.2");
        assert_eq!(names.owner_key(Role::Dispatcher, 2), "dlv.p.2");
        assert_eq!(names.owner_key(Role::Jobs, 2), "job.2");
        assert_eq!(names.member_key(Role::Dispatcher, &worker), "m.dlv.w1");
    }
}
