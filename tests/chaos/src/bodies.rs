//! What the deliveries of a proof carry, so that their receiver knows which one came and how late.

use std::{sync::OnceLock, time::Instant};

use serde::{Deserialize, Serialize};

/// A delivery's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliveryBody {
    /// Its lane; of unordered ones, only a number.
    pub(crate) lane: u32,
    /// Its place in the lane, from 0.
    pub(crate) n: u32,
    /// When it was offered, microseconds of this process.
    pub(crate) at_us: u64,
}

/// Microseconds since this was asked first.
pub(crate) fn now_us() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_micros()).unwrap_or(u64::MAX)
}
