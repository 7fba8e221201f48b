//! Waiting between tries of what may pass: longer each time, with jitter, up to a limit.

use std::fmt::Display;
use std::time::Duration;

use hookrail_broker::Lease;

use crate::error::GiveUp;

/// A growing pause.
pub(crate) struct BackOff {
    next: Duration,
    longest: Duration,
}

impl BackOff {
    /// From `first`, doubling up to `longest`.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest }
    }

    /// For the database and the broker: 100 ms to 5 s.
    pub(crate) fn usual() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }

    /// Waits, between half and all of the pause.
    pub(crate) async fn pause(&mut self) {
        let share = 0.5 + hookrail_runtime::random::unit() / 2.0;
        tokio::time::sleep(self.next.mul_f64(share)).await;
        self.next = (self.next * 2).min(self.longest);
    }
    /// Says what failed and waits before it is tried again: as long as the lease holds.
    pub(crate) async fn again(
        &mut self,
        lease: &Lease,
        error: &(dyn Display + Send + Sync),
    ) -> Result<(), GiveUp> {
        if !lease.holds() {
            return Err(GiveUp::LeaseOver);
        }
        tracing::warn!(partition = lease.partition(), %error, "trying again");
        self.pause().await;
        Ok(())
    }
}
