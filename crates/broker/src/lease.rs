//! The right to work on one partition for now.
//!
//! A lease is asked about right before bytes go out. It ends by itself when this worker's
//! heartbeats stop being good, by this machine's own clock; nobody needs to tell it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use hookrail_domain::ownership::Role;

use crate::boot_clock::boot_now_ms;
use crate::connection::Broker;
use crate::error::BrokerError;

/// Until when this worker's last good heartbeat lets it act; shared by all its leases.
#[derive(Debug, Default)]
pub(crate) struct Validity {
    until_ms: AtomicI64,
}

impl Validity {
    pub(crate) fn until_ms(&self) -> i64 {
        self.until_ms.load(Ordering::Acquire)
    }

    pub(crate) fn set_until_ms(&self, until_ms: i64) {
        self.until_ms.store(until_ms, Ordering::Release);
    }

    pub(crate) fn holds(&self) -> bool {
        boot_now_ms() < self.until_ms()
    }
}

/// The ownership of one partition under one epoch. Clones are the same lease.
#[derive(Clone, Debug)]
pub struct Lease {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    role: Role,
    partition: u32,
    epoch: u64,
    unclean_takeover: bool,
    ended: AtomicBool,
    given_up: AtomicBool,
    validity: Arc<Validity>,
}

impl Lease {
    pub(crate) fn new(
        role: Role,
        partition: u32,
        epoch: u64,
        unclean_takeover: bool,
        validity: Arc<Validity>,
    ) -> Lease {
        Lease {
            inner: Arc::new(Inner {
                role,
                partition,
                epoch,
                unclean_takeover,
                ended: AtomicBool::new(false),
                given_up: AtomicBool::new(false),
                validity,
            }),
        }
    }

    /// The role that it was claimed for.
    pub fn role(&self) -> Role {
        self.inner.role
    }

    /// The partition.
    pub fn partition(&self) -> u32 {
        self.inner.partition
    }

    /// Higher than that of every owner before.
    pub fn epoch(&self) -> u64 {
        self.inner.epoch
    }

    /// The last owner did not hand over: requests of it may still be under way.
    pub fn unclean_takeover(&self) -> bool {
        self.inner.unclean_takeover
    }

    /// Whether the owner may act now. Reads two atomics and the clock; call it right before each
    /// effect. Once false, it stays false.
    pub fn holds(&self) -> bool {
        // The validity first: it is extended only after leases that lapsed were ended.
        self.inner.validity.holds() && !self.inner.ended.load(Ordering::Acquire)
    }

    /// How long it will hold without another heartbeat, in milliseconds; 0 when it is over.
    pub fn remaining_ms(&self) -> i64 {
        if self.holds() {
            (self.inner.validity.until_ms() - boot_now_ms()).max(0)
        } else {
            0
        }
    }

    /// Asks the leader whether the owner key still has this lease's epoch.
    pub async fn confirm(&self, broker: &Broker) -> Result<bool, BrokerError> {
        let names = broker.names();
        let key = names.owner_key(self.role(), self.partition());
        let entry = broker.key_read(&names.owner_bucket(), &key).await?;
        Ok(self.holds() && entry.is_some_and(|entry| entry.revision == self.epoch()))
    }

    pub(crate) fn end(&self) {
        self.inner.ended.store(true, Ordering::Release);
    }

    /// Ends it by its own worker's wish, who needs no telling.
    pub(crate) fn give_up(&self) {
        self.inner.given_up.store(true, Ordering::Release);
        self.end();
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.inner.given_up.load(Ordering::Acquire)
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.inner.ended.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_holds_only_while_its_heartbeat_is_good_and_never_again_once_ended() {
        let validity = Arc::new(Validity::default());
        let lease = Lease::new(Role::Processor, 1, 7, false, Arc::clone(&validity));
        assert!(!lease.holds());
        validity.set_until_ms(boot_now_ms() + 60_000);
        assert!(lease.holds());
        assert!(lease.remaining_ms() > 0);
        let same = lease.clone();
        same.end();
        assert!(!lease.holds());
        assert_eq!(lease.remaining_ms(), 0);
    }
}
