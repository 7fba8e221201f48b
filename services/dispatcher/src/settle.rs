//! Records a delivery's end. Only when the journal has it may the message be acked or deleted.

use hookrail_broker::PublishError;
use hookrail_domain::{
    delivery::{Attempt, Delivery},
    lane::Settle,
};
use hookrail_runtime::clock;

use crate::{error::PartitionError, record::Recorder};

/// Waits between tries of a record that the broker refused, milliseconds. Sending slows meanwhile,
/// since the lane waits for its settlement.
const REFUSED_PAUSE_MS: u64 = 250;

/// Records the end of `delivery`.
pub(crate) async fn settle(
    recorder: &Recorder,
    delivery: &Delivery,
    settle: Settle,
    attempt: Option<Box<Attempt>>,
) -> Result<(), PartitionError> {
    let ended = || recorder.ended(delivery, settle, attempt.clone(), clock::now_ms());
    until_taken(ended).await
}

/// Publishes until the broker takes it. A full stream is waited for; an unknown fate ends the
/// partition's ownership, since nothing may be acked after it.
pub(crate) async fn until_taken<F>(publish: impl Fn() -> F) -> Result<(), PartitionError>
where
    F: Future<Output = Result<(), PublishError>>,
{
    loop {
        match publish().await {
            Ok(()) => return Ok(()),
            Err(PublishError::Refused { reason }) => {
                tracing::warn!(%reason, "the journal's stream takes no more; sending waits");
                tokio::time::sleep(std::time::Duration::from_millis(REFUSED_PAUSE_MS)).await;
            }
            // Nothing can be done about it; what it would have said is in the log.
            Err(PublishError::TooLarge { bytes, limit }) => {
                tracing::error!(bytes, limit, "a record is too large for the journal and left out");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}
