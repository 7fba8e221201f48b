//! Working carefully after an owner died: one event at a time, each marked before it is begun, so
//! that an event which kills every owner is found and fails instead of stopping its partition.

use hookrail_broker::{Broker, BrokerError, Lease, PoisonMark};

/// Events that are worked on one by one after an owner died: more than one batch of usual size could
/// not be the reason, but the reason is most likely near the front.
const CAREFUL_EVENTS: u32 = 100;
/// Owners that an event may kill before it is poison.
const DEATHS_MAX: u32 = 3;
/// The mark while nothing is marked: there is no sequence 0.
const NOTHING: PoisonMark = PoisonMark {
    sequence: 0,
    count: 0,
};

/// The care that a partition needs.
pub(crate) struct Care {
    left: u32,
    found: Option<PoisonMark>,
    /// The revision of the mark as this worker knows it; it writes over no other.
    revision: u64,
    marked: bool,
}

/// Whether an event may be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may.
    Begin,
    /// It killed too many owners.
    Poison,
}

impl Care {
    /// The care after taking a partition over.
    pub(crate) async fn after_takeover(broker: &Broker, lease: &Lease) -> Result<Self, BrokerError> {
        let mut care = Self {
            left: 0,
            found: None,
            revision: 0,
            marked: false,
        };
        if lease.unclean_takeover() {
            let found = broker.poison_mark(lease.partition()).await?;
            care.left = CAREFUL_EVENTS;
            care.found = found.map(|found| found.mark);
            care.revision = found.map_or(0, |found| found.revision);
            care.marked = true;
        }
        Ok(care)
    }

    /// Whether events are worked on one by one.
    pub(crate) fn is_needed(&self) -> bool {
        self.left > 0
    }

    /// Marks an event before it is begun. None: somebody else has set the mark meanwhile; to be tried
    /// again by who still holds the lease.
    pub(crate) async fn begin(
        &mut self,
        broker: &Broker,
        lease: &Lease,
        sequence: u64,
    ) -> Result<Option<Verdict>, BrokerError> {
        let count = deaths(self.found, sequence);
        if count >= DEATHS_MAX {
            return Ok(Some(Verdict::Poison));
        }
        let (partition, mark) = (lease.partition(), PoisonMark { sequence, count });
        match broker.set_poison_mark(partition, mark, self.revision).await? {
            Some(revision) => {
                self.revision = revision;
                self.marked = true;
                Ok(Some(Verdict::Begin))
            }
            // An owner of before that came late, or this one's own write that was not answered.
            None => {
                let found = broker.poison_mark(partition).await?;
                self.revision = found.map_or(0, |found| found.revision);
                Ok(None)
            }
        }
    }

    /// Notes that an event is done; removes the mark after the last careful one. What was found stays known
    /// until that event is done: what was held and what comes from the log take turns.
    pub(crate) async fn done(
        &mut self,
        broker: &Broker,
        lease: &Lease,
        sequence: u64,
    ) -> Result<(), BrokerError> {
        self.found = self.found.filter(|found| found.sequence != sequence);
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.clear(broker, lease).await
        } else {
            Ok(())
        }
    }

    /// Removes the mark: this worker leaves the partition without having died. Not without the lease,
    /// and never that of another owner.
    pub(crate) async fn clear(&mut self, broker: &Broker, lease: &Lease) -> Result<(), BrokerError> {
        if std::mem::take(&mut self.marked) && lease.holds() {
            let partition = lease.partition();
            if broker
                .set_poison_mark(partition, NOTHING, self.revision)
                .await?
                .is_none()
            {
                tracing::debug!(partition, "the mark is another owner's now");
            }
        }
        Ok(())
    }
}

/// Owners that died with `sequence` marked. One did if the mark that was found names it.
fn deaths(found: Option<PoisonMark>, sequence: u64) -> u32 {
    found
        .filter(|mark| mark.sequence == sequence)
        .map_or(0, |mark| mark.count + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_death_with_that_event_marked_counts() {
        assert_eq!(deaths(None, 5), 0);
        assert_eq!(
            deaths(
                Some(PoisonMark {
                    sequence: 4,
                    count: 2
                }),
                5
            ),
            0
        );
        assert_eq!(
            deaths(
                Some(PoisonMark {
                    sequence: 5,
                    count: 0
                }),
                5
            ),
            1
        );
        assert_eq!(
            deaths(
                Some(PoisonMark {
                    sequence: 5,
                    count: 2
                }),
                5
            ),
            DEATHS_MAX
        );
    }
}
