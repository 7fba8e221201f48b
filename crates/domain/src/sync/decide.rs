//! What a run does with a row: mode × (what is known of it, what is seen now) → what to do. Pure, and the only
//! place that knows what the modes mean.
//!
//! A row has at most one delivery on its way. While it has, no other is made for it, so a receiver never gets an
//! older state of a row after a newer one, whatever the destination's ordering.

use sha2::{Digest, Sha256};

use super::SyncMode;

/// Bytes of the hash of a row that are kept: enough that two states of one row never share it.
const HASH_BYTES: usize = 16;

/// The hash of what is sent of a row: what is not sent may change without notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowHash([u8; HASH_BYTES]);

impl RowHash {
    /// The hash of a record's members, compact JSON.
    pub fn of(members: &[u8]) -> Self {
        Self::from_bytes(&Sha256::digest(members))
    }

    /// The hash with these bytes; missing ones are 0.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut hash = [0; HASH_BYTES];
        hash.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self(hash)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What is known of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowStatus {
    /// It was there, and nothing was ever sent of it.
    Learned,
    /// The receiver has it.
    Sent,
    /// Its last delivery ended without the receiver having taken it.
    Unsent,
    /// It is on its way.
    Writing,
    /// Its deletion is on its way.
    Deleting,
    /// The delivery of its deletion ended without the receiver having taken it.
    DeleteUnsent,
}

impl RowStatus {
    /// All of them, each at the place of its number.
    const ALL: [Self; 6] = [
        Self::Learned,
        Self::Sent,
        Self::Unsent,
        Self::Writing,
        Self::Deleting,
        Self::DeleteUnsent,
    ];

    /// The number that it is stored as.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// The status with this number.
    pub fn of_number(number: i64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Whether a delivery is on its way.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Writing | Self::Deleting)
    }
}

/// What is known of a row, with the hash of what was seen or sent last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownRow {
    /// What became of it.
    pub status: RowStatus,
    /// The hash then.
    pub hash: RowHash,
}

/// What a delivery tells the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// This is the row now.
    Write,
    /// The row has gone.
    Delete,
}

impl Operation {
    /// Its word in a record of this mode.
    pub fn word(self, mode: SyncMode) -> &'static str {
        match self {
            Self::Write => mode.write_word(),
            Self::Delete => "delete",
        }
    }
}

/// What to do with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Keep,
    /// Remember it, and send nothing.
    Learn,
    /// Send it.
    Send(Operation),
    /// Nothing yet: its last delivery is still on its way, and the next run looks at it again.
    Wait,
}

/// Decides about a row that is known, seen, or both.
pub fn decide(mode: SyncMode, known: Option<KnownRow>, seen: Option<RowHash>) -> Decision {
    match (known, seen) {
        (None, None) => Decision::Keep,
        (None, Some(_)) => of_new(mode),
        (Some(known), Some(hash)) => of_known(mode, known, hash),
        (Some(known), None) => of_gone(mode, known.status),
    }
}

fn of_new(mode: SyncMode) -> Decision {
    match mode {
        SyncMode::Update | SyncMode::Delete => Decision::Learn,
        _ => Decision::Send(Operation::Write),
    }
}

fn of_known(mode: SyncMode, known: KnownRow, hash: RowHash) -> Decision {
    let once = matches!(mode, SyncMode::Append | SyncMode::Create);
    let is_same = known.hash == hash;
    match known.status {
        RowStatus::Deleting => Decision::Wait,
        RowStatus::DeleteUnsent if mode == SyncMode::Delete => Decision::Learn,
        _ if mode == SyncMode::Delete => Decision::Keep,
        RowStatus::DeleteUnsent | RowStatus::Unsent => Decision::Send(Operation::Write),
        _ if once || is_same => Decision::Keep,
        RowStatus::Writing => Decision::Wait,
        RowStatus::Learned | RowStatus::Sent => Decision::Send(Operation::Write),
    }
}

/// What is not there any more is only of interest to modes that delete.
fn of_gone(mode: SyncMode, status: RowStatus) -> Decision {
    match status {
        _ if !mode.deletes() => Decision::Keep,
        RowStatus::Deleting => Decision::Keep,
        RowStatus::Writing => Decision::Wait,
        // What ended without an answer may have been taken all the same, so it is deleted too.
        _ => Decision::Send(Operation::Delete),
    }
}

/// What is known of a row whose delivery has ended; `None` = nothing any more.
pub fn settled(operation: Operation, is_delivered: bool) -> Option<RowStatus> {
    match (operation, is_delivered) {
        (Operation::Write, true) => Some(RowStatus::Sent),
        (Operation::Write, false) => Some(RowStatus::Unsent),
        (Operation::Delete, true) => None,
        (Operation::Delete, false) => Some(RowStatus::DeleteUnsent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: [SyncMode; 6] = [
        SyncMode::Upsert,
        SyncMode::Mirror,
        SyncMode::Append,
        SyncMode::Update,
        SyncMode::Create,
        SyncMode::Delete,
    ];

    /// What each mode, in the order of [`MODES`], does: `.` keep, `l` learn, `w` write, `d` delete, `-` wait.
    fn check(known: Option<RowStatus>, seen: Option<&str>, expected: &str) {
        let known = known.map(|status| KnownRow {
            status,
            hash: RowHash::of(b"old"),
        });
        let seen = seen.map(|text| RowHash::of(text.as_bytes()));
        let of = |mode| match decide(mode, known, seen) {
            Decision::Keep => '.',
            Decision::Learn => 'l',
            Decision::Send(Operation::Write) => 'w',
            Decision::Send(Operation::Delete) => 'd',
            Decision::Wait => '-',
        };
        let found: String = MODES.map(of).iter().collect();
        assert_eq!(found, expected, "{known:?} {seen:?}");
    }

    #[test]
    fn the_modes_mean_what_they_say() {
        use RowStatus as S;
        // in the order: upsert mirror append update create delete
        check(None, Some("new"), "wwwlwl");
        check(Some(S::Learned), Some("old"), "......");
        check(Some(S::Learned), Some("new"), "ww.w..");
        check(Some(S::Sent), Some("old"), "......");
        check(Some(S::Sent), Some("new"), "ww.w..");
        check(Some(S::Unsent), Some("old"), "wwwww.");
        check(Some(S::Unsent), Some("new"), "wwwww.");
        check(Some(S::Writing), Some("old"), "......");
        check(Some(S::Writing), Some("new"), "--.-..");
        check(Some(S::Deleting), Some("new"), "------");
        check(Some(S::DeleteUnsent), Some("old"), "wwwwwl");
        check(Some(S::Learned), None, ".d...d");
        check(Some(S::Sent), None, ".d...d");
        check(Some(S::Unsent), None, ".d...d");
        check(Some(S::Writing), None, ".-...-");
        check(Some(S::Deleting), None, "......");
        check(Some(S::DeleteUnsent), None, ".d...d");
    }

    #[test]
    fn a_delivery_that_ended_badly_leaves_the_row_unsent() {
        assert_eq!(settled(Operation::Write, true), Some(RowStatus::Sent));
        assert_eq!(settled(Operation::Write, false), Some(RowStatus::Unsent));
        assert_eq!(settled(Operation::Delete, true), None);
        assert_eq!(settled(Operation::Delete, false), Some(RowStatus::DeleteUnsent));
    }

    #[test]
    fn a_status_reads_back_from_its_number() {
        for status in RowStatus::ALL {
            assert_eq!(RowStatus::of_number(status.number()), Some(status));
        }
        assert_eq!(RowStatus::of_number(6), None);
        assert_eq!(RowStatus::of_number(-1), None);
    }
}
