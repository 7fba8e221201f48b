//! How many requests were refused, by source and cause, handed to the journal every few seconds.
//!
//! A record is kept until the journal has it; its number makes a repetition count once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hookrail_domain::ids::SourceId;
use hookrail_domain::journal::CountRecord;

/// Refusals since they were last taken. Only refused requests meet its lock.
#[derive(Default)]
pub(crate) struct RefusalCounts {
    /// By source and cause: as many as there are definitions, at most.
    counts: Mutex<HashMap<(SourceId, &'static str), u64>>,
}

impl RefusalCounts {
    /// Counts one.
    pub(crate) fn add(&self, source: SourceId, code: &'static str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((source, code)).or_default() += 1;
    }

    fn take(&self) -> HashMap<(SourceId, &'static str), u64> {
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The records that the journal doesn't have yet.
pub(crate) struct CountRecords {
    instance: String,
    last_number: u64,
    pending: Vec<CountRecord>,
}

impl CountRecords {
    pub(crate) fn new(instance: String) -> Self {
        Self {
            instance,
            last_number: 0,
            pending: Vec::new(),
        }
    }

    /// The records to send: those that are left, else new ones of what was counted meanwhile. So
    /// while the journal can't be reached, there are never more than one round's.
    pub(crate) fn refill(&mut self, counts: &RefusalCounts) -> &mut Vec<CountRecord> {
        if self.pending.is_empty() {
            for ((source, code), refused) in counts.take() {
                self.last_number += 1;
                self.pending.push(CountRecord {
                    instance: self.instance.clone(),
                    number: self.last_number,
                    source,
                    code: code.to_owned(),
                    refused,
                });
            }
        }
        &mut self.pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_stays_the_same_until_it_was_sent() {
        let counts = RefusalCounts::default();
        let mut records = CountRecords::new("a".to_owned());
        let source = SourceId::from_u128(1);
        counts.add(source, "unauthorized");
        counts.add(source, "unauthorized");
        let first = records.refill(&counts).clone();
        assert_eq!((first.len(), first[0].number, first[0].refused), (1, 1, 2));
        counts.add(source, "unauthorized");
        assert_eq!(*records.refill(&counts), first);
        records.refill(&counts).clear();
        let second = records.refill(&counts);
        assert_eq!((second[0].number, second[0].refused), (2, 1));
    }
}
