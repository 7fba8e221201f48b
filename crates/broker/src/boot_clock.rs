//! The machine's time since boot, which also runs while it sleeps.
//!
//! Leases are measured with it: a laptop that slept through its lease must know that it did, which
//! the usual monotonic clock would hide. It is never shown to anybody and never stored.

/// Milliseconds since boot, suspended time included.
#[cfg(target_os = "linux")]
pub(crate) fn boot_now_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
}

/// Milliseconds of the monotonic clock, where the system has no clock that counts suspended time.
#[cfg(not(target_os = "linux"))]
pub(crate) fn boot_now_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as i64 * 1_000 + now.tv_nsec as i64 / 1_000_000
}
