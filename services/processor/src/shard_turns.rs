//! Working on a shard of jobs by turns, until it is told to stop or the lease is over. What a turn does is for
//! each kind of job to say.

use std::time::Duration;

use hookrail_broker::Lease;
use hookrail_store::open_jobs::JobKind;
use tokio_util::sync::CancellationToken;

use crate::{
    error::GiveUp,
    job_board::{BoardReader, JobBoard},
    jobs::{JobError, RETRY_PAUSE},
};

/// The longest that a shard is not looked at, whatever the board shows.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// When a shard has its next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextTurn {
    /// After so long.
    In(Duration),
    /// Nothing is open: once something is.
    OnceOpen,
}

/// A kind of job.
pub(crate) trait Turns {
    /// What is worked on.
    const KIND: JobKind;

    /// Gives all that is due its turn; says when there is something to do again.
    fn turn(&mut self) -> impl Future<Output = Result<NextTurn, JobError>> + Send;
}

/// One shard of jobs, as it is worked on.
pub(crate) struct Shift<'a> {
    pub(crate) lease: &'a Lease,
    pub(crate) board: &'a JobBoard,
    pub(crate) stop: &'a CancellationToken,
}

/// Takes turns until the shift is told to stop.
pub(crate) async fn take_turns<T: Turns>(jobs: &mut T, shift: &Shift<'_>) -> Result<(), GiveUp> {
    let Shift { lease, stop, .. } = shift;
    let mut board = shift.board.reader(T::KIND, lease.partition());
    while !stop.is_cancelled() {
        if !lease.holds() {
            return Err(GiveUp::LeaseOver);
        }
        let next = match jobs.turn().await {
            Ok(next) => next,
            Err(JobError::GiveUp(reason)) => return Err(reason),
            Err(error) => {
                let (shard, what) = (lease.partition(), T::KIND.as_str());
                tracing::warn!(shard, what, %error, "working on jobs again");
                NextTurn::In(RETRY_PAUSE)
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = pass(next, &mut board) => {}
        }
    }
    Ok(())
}

async fn pass(next: NextTurn, board: &mut BoardReader) {
    match next {
        NextTurn::In(pause) => tokio::time::sleep(pause).await,
        NextTurn::OnceOpen => {
            let _late = tokio::time::timeout(IDLE_MAX, board.shows_some()).await;
        }
    }
}
