//! Every name on the broker: streams, subjects, consumers, buckets and keys.
//!
//! The only place where such names are made. Tokens are ids as they are, or a base32 hash of any
//! other text, so nothing that a user chose can add a token or a wildcard to a subject.

use data_encoding::BASE32_NOPAD;
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
/// What every definition's key begins with; other keys of the bucket aren't definitions.
pub(crate) const KEY_ENTRY_PREFIX: &str = "d.";

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
    fn each_role_has_its_own_keys() {
        let names = Names::new("HOOKRAIL");
        let worker = WorkerId::new("w1").unwrap();
        assert_eq!(names.owner_key(Role::Processor, 2), "raw.p.2");
        assert_eq!(names.owner_key(Role::Dispatcher, 2), "dlv.p.2");
        assert_eq!(names.owner_key(Role::Jobs, 2), "job.2");
        assert_eq!(names.member_key(Role::Dispatcher, &worker), "m.dlv.w1");
    }
}
