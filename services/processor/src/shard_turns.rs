//! Working on a shard of jobs by turns, until it is told to stop or the lease is over. What a turn does is for
//! each kind of job to say.

use std::time::Duration;

use hookrail_broker::Lease;
use tokio_util::sync::CancellationToken;

use crate::{
    error::GiveUp,
    jobs::{JobError, RETRY_PAUSE},
};

/// A kind of job.
pub(crate) trait Turns {
    /// What is worked on, for the log.
    const WHAT: &'static str;

    /// Gives all that is due its turn; says how long there is nothing to do.
    fn turn(&mut self) -> impl Future<Output = Result<Duration, JobError>> + Send;
}

/// Takes turns until `stop`.
pub(crate) async fn take_turns(
    jobs: &mut impl Turns,
    lease: &Lease,
    stop: &CancellationToken,
) -> Result<(), GiveUp> {
    let what = name_of(jobs);
    while !stop.is_cancelled() {
        if !lease.holds() {
            return Err(GiveUp::LeaseOver);
        }
        let pause = match jobs.turn().await {
            Ok(pause) => pause,
            Err(JobError::GiveUp(reason)) => return Err(reason),
            Err(error) => {
                tracing::warn!(shard = lease.partition(), what, %error, "working on jobs again");
                RETRY_PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    Ok(())
}

fn name_of<T: Turns>(_: &T) -> &'static str {
    T::WHAT
}
