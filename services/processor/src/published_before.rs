//! What an owner that died may have published and not committed. The broker knows a repeated delivery by its
//! id only for a while, and forgets with a restart those that have left its queue; then a delivery that was
//! delivered long ago would go out again. The journal knows them: what it tells of was in the queue.

use std::collections::HashSet;
use std::time::Duration;

use hookrail_broker::{BrokerError, JournalMark, Lease};
use hookrail_domain::ids::DeliveryId;
use hookrail_store::deliveries;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{back_off::BackOff, commit::Evaluated, consume_partition::Workshop, error::GiveUp};

/// How long a takeover waits for the journal. A longer backlog of it is not worth holding events back for:
/// then a receiver may see some deliveries twice, with the same ids.
const JOURNAL_WAIT: Duration = Duration::from_secs(15);

/// The events of a partition that an owner before may have worked on.
pub(crate) struct PublishedBefore {
    /// The last of them.
    through: u64,
}

impl PublishedBefore {
    /// After a takeover, once all that the journal was told until now is in the store.
    pub(crate) async fn after_takeover(
        workshop: &Workshop,
        lease: &Lease,
        stop: &CancellationToken,
    ) -> Result<Self, GiveUp> {
        if !lease.unclean_takeover() {
            return Ok(Self { through: 0 });
        }
        let (mut back_off, started) = (BackOff::usual(), Instant::now());
        let mut mark = None;
        let through = loop {
            match look(workshop, lease, &mut mark, started.elapsed() > JOURNAL_WAIT).await {
                Ok(Some(through)) => break through,
                Ok(None) if stop.is_cancelled() => return Ok(Self { through: 0 }),
                Ok(None) if !lease.holds() => return Err(GiveUp::LeaseOver),
                Ok(None) => back_off.pause().await,
                Err(error) => back_off.again(lease, &error).await?,
            }
        };
        Ok(Self { through })
    }

    /// Those of the deliveries planned for `evaluated` that were published before.
    pub(crate) async fn among(
        &self,
        workshop: &Workshop,
        lease: &Lease,
        evaluated: &[Evaluated],
    ) -> Result<HashSet<DeliveryId>, GiveUp> {
        let ids: Vec<DeliveryId> = evaluated
            .iter()
            .filter(|(arrival, _)| arrival.sequence <= self.through)
            .flat_map(|(_, evaluation)| evaluation.deliveries.iter().map(|delivery| delivery.id))
            .collect();
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let mut back_off = BackOff::usual();
        loop {
            match deliveries::known(workshop.store.reader(), &ids).await {
                Ok(known) => return Ok(known),
                Err(error) => back_off.again(lease, &error).await?,
            }
        }
    }
}

/// The last event of the partition, once the journal is written up to `mark`, which is set first, or `is_late`.
async fn look(
    workshop: &Workshop,
    lease: &Lease,
    mark: &mut Option<JournalMark>,
    is_late: bool,
) -> Result<Option<u64>, BrokerError> {
    let broker = &workshop.broker;
    let set = match *mark {
        Some(set) => set,
        None => *mark.insert(JournalMark::now(broker).await?),
    };
    let is_written = set.is_written(broker).await?;
    let partition = lease.partition();
    if is_late && !is_written {
        tracing::warn!(
            partition,
            "the journal is behind; deliveries of the owner before may be repeated"
        );
    }
    match is_written || is_late {
        true => broker.raw_last_sequence(partition).await.map(Some),
        false => Ok(None),
    }
}
