//! Keeps the order engine's destinations in step with the definitions.

use std::{collections::HashMap, sync::Arc};

use hookrail_domain::{
    delivery::Delivery,
    destination::{Destination, OnDead},
    ids::DestinationId,
    lane::{DestinationRules, Input, RateRule},
    snapshot::Snapshot,
};

/// The destinations that one partition's engine knows, as it was last told of them.
#[derive(Default)]
pub(crate) struct KnownDestinations {
    /// Bytes that each may have parked.
    quota_bytes: u64,
    known: HashMap<DestinationId, Option<Arc<Destination>>>,
    revision: u64,
}

impl KnownDestinations {
    /// None yet; each will have `quota_bytes` of the parked stream.
    pub(crate) fn new(quota_bytes: u64) -> Self {
        Self {
            quota_bytes,
            ..Self::default()
        }
    }

    /// The input that makes `id` known, where the engine does not know it yet.
    pub(crate) fn introduce(&mut self, id: DestinationId, snapshot: &Snapshot) -> Option<Input> {
        if self.known.contains_key(&id) {
            return None;
        }
        let destination = snapshot.destination(id).cloned();
        let input = input(id, destination.as_deref(), self.quota_bytes);
        self.known.insert(id, destination);
        Some(input)
    }

    /// Whether a dead delivery stays at the front of its lane until a person decides.
    pub(crate) fn holds_dead(&self, delivery: &Delivery) -> bool {
        let known = self.known.get(&delivery.destination).and_then(Option::as_ref);
        let holds = known.is_some_and(|destination| destination.spec.on_dead == OnDead::Hold);
        holds && delivery.lane_key.is_some() && delivery.reply.is_none()
    }

    /// The inputs for what changed since the last call: of known destinations only.
    pub(crate) fn changes(&mut self, snapshot: &Snapshot) -> Vec<Input> {
        if snapshot.revision() == self.revision {
            return Vec::new();
        }
        self.revision = snapshot.revision();
        let mut inputs = Vec::new();
        for (id, known) in &mut self.known {
            let current = snapshot.destination(*id);
            let same = match (&*known, current) {
                (Some(before), Some(now)) => Arc::ptr_eq(before, now),
                (None, None) => true,
                _ => false,
            };
            if !same {
                *known = current.cloned();
                inputs.push(input(*id, known.as_deref(), self.quota_bytes));
            }
        }
        inputs
    }
}

fn input(id: DestinationId, destination: Option<&Destination>, quota_bytes: u64) -> Input {
    let rules = destination.map(|destination| Box::new(rules(destination, quota_bytes)));
    Input::Destination(id, rules)
}

/// What the engine needs of a definition: its limits, divided among the partitions it spreads over.
fn rules(destination: &Destination, quota_bytes: u64) -> DestinationRules {
    let spec = &destination.spec;
    let spread = spec.spread.max(1);
    DestinationRules {
        enabled: spec.enabled,
        max_in_flight: spec.max_in_flight.div_ceil(spread),
        rate: spec.rate_limit.map(|rate| RateRule {
            per_second: rate.per_second / f64::from(spread),
            burst: (f64::from(rate.burst) / f64::from(spread)).max(1.0),
        }),
        retry: spec.retry.clone(),
        on_dead: spec.on_dead,
        parked_bytes: quota_bytes / u64::from(spread),
    }
}
