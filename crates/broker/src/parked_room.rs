//! The room that a parked stream keeps for what must never be refused: fences and lane states.
//!
//! A stream that is full refuses everything, a takeover's fence too, and a partition that can't be
//! taken over drains nothing. So deliveries stop short of the stream's size. What the stream holds is
//! asked now and then and counted in between; each owner that shares the stream counts for itself, which
//! the reserve is wide enough for.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::connection::Broker;
use crate::error::BrokerError;

/// How full the stream may be of deliveries, in percent of its size.
const FULL_PERCENT: u64 = 95;
/// How long what the stream said counts.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// After so many thousandths of the stream's size were appended it is asked sooner: a shard's owners
/// together then stay within the reserve.
const ASK_AFTER_THOUSANDTHS: u64 = 2;
/// What a message takes besides its payload, roughly: subject, headers, the stream's own record.
const FRAME_BYTES: u64 = 256;

/// What a parked stream holds, as far as one owner knows.
#[derive(Debug, Default)]
pub(crate) struct ParkedRoom {
    seen: Mutex<Option<Seen>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Instant,
    bytes: u64,
    max_bytes: u64,
    appended: u64,
    /// Somebody is asking: the others go by what is known meanwhile.
    asking: bool,
}

impl Seen {
    fn is_fresh(&self, now: Instant) -> bool {
        let few = self.appended <= self.max_bytes / 1000 * ASK_AFTER_THOUSANDTHS;
        now.saturating_duration_since(self.at) < ASK_EVERY && few
    }

    /// Takes room for a message, where there is some.
    fn take(&mut self, bytes: u64) -> bool {
        let bytes = bytes + FRAME_BYTES;
        let wanted = self.bytes + self.appended + bytes;
        let fits = wanted <= self.max_bytes / 100 * FULL_PERCENT;
        self.appended += if fits { bytes } else { 0 };
        fits
    }
}

impl ParkedRoom {
    /// Takes room for a message of `bytes`. `false`: there is none for deliveries at the moment.
    ///
    /// # Errors
    /// When the stream does not say how full it is.
    pub(crate) async fn take(&self, broker: &Broker, stream: &str, bytes: u64) -> Result<bool, BrokerError> {
        if let Some(fits) = self.take_known(bytes) {
            return Ok(fits);
        }
        let asked = ask(broker, stream).await;
        let mut seen = self.lock();
        if asked.is_err() {
            seen.iter_mut().for_each(|seen| seen.asking = false);
        }
        Ok(seen.insert(asked?).take(bytes))
    }

    /// Goes by what is known; `None` where the caller is the one to ask.
    fn take_known(&self, bytes: u64) -> Option<bool> {
        let mut seen = self.lock();
        let seen = seen.as_mut()?;
        if seen.is_fresh(Instant::now()) || std::mem::replace(&mut seen.asking, true) {
            return Some(seen.take(bytes));
        }
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Seen>> {
        self.seen.lock().expect("nothing panics while it holds this")
    }
}

async fn ask(broker: &Broker, stream: &str) -> Result<Seen, BrokerError> {
    let fill = broker.stream_fill(stream).await?;
    Ok(Seen {
        at: Instant::now(),
        bytes: fill.bytes,
        max_bytes: fill.max_bytes,
        appended: 0,
        asking: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_stop_short_of_the_stream_s_size() {
        let mut seen = Seen {
            at: Instant::now(),
            bytes: 94_000,
            max_bytes: 100_000,
            appended: 0,
            asking: false,
        };
        assert!(seen.take(500));
        assert!(!seen.take(500), "the reserve is not for deliveries");
        assert!(!seen.is_fresh(seen.at), "much was appended: it is asked again");
    }
}
