//! Taking a raw partition over: its committed sequence, its reader, the mark of an event in work. Each
//! is tried until it is there, the lease is over, or the worker is told to stop.

use hookrail_broker::{Lease, RawReader};
use hookrail_store::partition_progress;
use tokio_util::sync::CancellationToken;

use crate::{back_off::BackOff, careful::Care, consume_partition::Workshop, error::GiveUp};

/// The committed sequence; `None` = told to stop before it was known.
pub(crate) async fn committed_sequence(
    workshop: &Workshop,
    lease: &Lease,
    stop: &CancellationToken,
) -> Result<Option<u64>, GiveUp> {
    let mut back_off = BackOff::usual();
    while lease.holds() && !stop.is_cancelled() {
        match partition_progress::take_partition(&workshop.store, lease.partition(), lease.epoch()).await {
            Ok(Some(sequence)) => return Ok(Some(sequence)),
            Ok(None) => return Err(GiveUp::Replaced),
            Err(error) => {
                tracing::warn!(partition = lease.partition(), %error, "taking the partition again");
                back_off.pause().await;
            }
        }
    }
    stopped(stop)
}

/// The reader of what comes after `committed`; `None` = told to stop before it was open.
pub(crate) async fn open_reader(
    workshop: &Workshop,
    lease: &Lease,
    committed: u64,
    stop: &CancellationToken,
) -> Result<Option<RawReader>, GiveUp> {
    let mut back_off = BackOff::usual();
    while lease.holds() && !stop.is_cancelled() {
        match RawReader::open(&workshop.broker, lease, committed).await {
            Ok(reader) => return Ok(Some(reader)),
            Err(error) => {
                let error = GiveUp::of_reader(error)?;
                tracing::warn!(partition = lease.partition(), %error, "opening the partition again");
                back_off.pause().await;
            }
        }
    }
    stopped(stop)
}

fn stopped<T>(stop: &CancellationToken) -> Result<Option<T>, GiveUp> {
    if stop.is_cancelled() {
        Ok(None)
    } else {
        Err(GiveUp::LeaseOver)
    }
}

/// How carefully the partition has to be worked on.
pub(crate) async fn care(workshop: &Workshop, lease: &Lease) -> Result<Care, GiveUp> {
    let mut back_off = BackOff::usual();
    loop {
        match Care::after_takeover(&workshop.broker, lease).await {
            Ok(care) => return Ok(care),
            Err(error) => back_off.again(lease, &error).await?,
        }
    }
}
