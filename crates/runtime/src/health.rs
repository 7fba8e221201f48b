//! What a process says about itself to an orchestrator. Services push their state; nothing is asked when a probe comes,
//! so a probe never waits for a broker or a database.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// The named checks of one process. Clones share them.
#[derive(Clone, Default)]
pub struct Health {
    /// Check → why it isn't ready; `None` = ready.
    checks: Arc<Mutex<BTreeMap<String, Option<String>>>>,
}

/// The handle by which a part of a service reports one check.
#[derive(Clone)]
pub struct Readiness {
    health: Health,
    name: String,
}

/// One check that keeps the process from being ready.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct NotReady {
    pub check: String,
    pub reason: String,
}

impl Health {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that a service will be started: the process isn't ready until that service has added its first check,
    /// named `<service>.<part>`, and that is ready.
    pub fn announce(&self, service: &str) {
        self.lock()
            .insert(service.to_owned(), Some("starting".to_owned()));
    }

    /// Adds a check, not ready with the reason "starting" until its handle says otherwise. Names are `<service>.<part>`,
    /// as `ingress.broker`; a name that is there already gets a second handle.
    #[must_use]
    pub fn check(&self, name: &str) -> Readiness {
        let mut checks = self.lock();
        if let Some((service, _)) = name.split_once('.') {
            checks.remove(service);
        }
        checks
            .entry(name.to_owned())
            .or_insert_with(|| Some("starting".to_owned()));
        drop(checks);
        Readiness {
            health: self.clone(),
            name: name.to_owned(),
        }
    }

    /// What isn't ready; empty = ready.
    #[must_use]
    pub fn not_ready(&self) -> Vec<NotReady> {
        let checks = self.lock();
        let unready = checks
            .iter()
            .filter_map(|(check, reason)| Some((check, reason.as_ref()?)));
        unready
            .map(|(check, reason)| NotReady {
                check: check.clone(),
                reason: reason.clone(),
            })
            .collect()
    }

    /// True while no check says otherwise.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.lock().values().all(Option::is_none)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, name: &str, reason: Option<String>) {
        if let Some(state) = self.lock().get_mut(name) {
            *state = reason;
        }
    }
}

impl Readiness {
    /// Reports the check as ready.
    pub fn ready(&self) {
        self.health.set(&self.name, None);
    }

    /// Reports the check as not ready, with the reason as people should read it.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.health.set(&self.name, Some(reason.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_checks_is_ready() {
        assert!(Health::new().is_ready());
    }

    #[test]
    fn an_announced_service_is_not_ready_before_its_own_checks_are() {
        let health = Health::new();
        health.announce("ingress");
        assert_eq!(health.not_ready()[0].check, "ingress");
        let broker = health.check("ingress.broker");
        assert_eq!(health.not_ready()[0].check, "ingress.broker");
        broker.ready();
        assert!(health.is_ready());
    }

    #[test]
    fn every_unready_check_is_listed_with_its_reason() {
        let health = Health::new();
        let broker = health.check("ingress.broker");
        health.check("ingress.snapshot").ready();
        assert_eq!(
            health.not_ready(),
            [NotReady {
                check: "ingress.broker".to_owned(),
                reason: "starting".to_owned()
            }]
        );
        broker.not_ready("no answer for 5 s");
        assert_eq!(health.not_ready()[0].reason, "no answer for 5 s");
        broker.ready();
        assert!(health.is_ready());
    }
}
