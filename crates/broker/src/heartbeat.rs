//! The sign of life that a worker's leases depend on.
//!
//! Runs on the ownership thread, so that a busy runtime elsewhere can't delay it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hookrail_domain::ownership::LeaseTimes;
use tokio::time::MissedTickBehavior;

use crate::boot_clock::boot_now_ms;
use crate::connection::Broker;
use crate::lease::{Lease, Validity};

/// The leases that a worker holds, by partition.
#[derive(Debug, Default)]
pub(crate) struct HeldLeases {
    leases: Mutex<HashMap<u32, Lease>>,
}

impl HeldLeases {
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut HashMap<u32, Lease>) -> T) -> T {
        act(&mut self.leases.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn end_all(&self) {
        self.with(|leases| leases.values().for_each(Lease::end));
    }
}

/// Writes one worker's heartbeat.
pub(crate) struct Heartbeat {
    pub(crate) broker: Broker,
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// Tells this process's heartbeats from those of an older self.
    pub(crate) session: u64,
    pub(crate) times: LeaseTimes,
    pub(crate) validity: Arc<Validity>,
    pub(crate) held: Arc<HeldLeases>,
    /// When the last good put began.
    pub(crate) last_good_ms: Arc<AtomicI64>,
}

impl Heartbeat {
    /// Beats four times in a time-to-live, for ever.
    pub(crate) async fn run(&self) {
        let period = self.period();
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.beat().await;
        }
    }

    /// One heartbeat; true if the broker took it.
    pub(crate) async fn beat(&self) -> bool {
        let started_ms = boot_now_ms();
        let value = Bytes::from(encode_beat(self.session, started_ms));
        let put = self.broker.key_write(&self.bucket, &self.key, value);
        match tokio::time::timeout(self.period(), put).await {
            Ok(Ok(_)) => {
                self.extend(started_ms);
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(key = self.key, %error, "heartbeat failed");
                false
            }
            Err(_) => {
                tracing::warn!(key = self.key, "heartbeat not acknowledged in time");
                false
            }
        }
    }

    /// Leases that lapsed before this heartbeat are over: others may have claimed meanwhile. They
    /// are ended first, so that none of them comes back to life.
    fn extend(&self, started_ms: i64) {
        if !self.validity.holds() {
            self.held.end_all();
        }
        self.validity.set_until_ms(self.times.holds_until(started_ms));
        self.last_good_ms.store(started_ms, Ordering::Release);
    }

    fn period(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.times.ttl_ms / 4).unwrap_or(1).max(1))
    }
}

pub(crate) fn encode_beat(session: u64, started_ms: i64) -> String {
    format!("{session:016x}:{started_ms}")
}

/// When the put of a heartbeat of this session began; none for another session's.
pub(crate) fn decode_beat(session: u64, value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let (found, started_ms) = text.split_once(':')?;
    (found == format!("{session:016x}")).then(|| started_ms.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_sessions_heartbeats_are_read() {
        let beat = encode_beat(7, 1234);
        assert_eq!(decode_beat(7, beat.as_bytes()), Some(1234));
        assert_eq!(decode_beat(8, beat.as_bytes()), None);
        assert_eq!(decode_beat(7, b"junk"), None);
    }
}
