//! Keeps the order engine's destinations, and which routes are paused, in step with the definitions. Fetchers are destinations here.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use hookrail_domain::{
    destination::Destination,
    ids::{DestinationId, RouteId},
    lane::{DestinationRules, Input, RateRule},
    partition,
    short_id::ShortId,
    snapshot::Snapshot,
};

/// The destinations that one partition's engine knows, as it was last told of them.
pub(crate) struct KnownDestinations {
    /// The partition, and how many there are.
    partition: u32,
    partitions: u32,
    /// Bytes that each may have parked.
    quota_bytes: u64,
    known: HashMap<DestinationId, Option<Arc<Destination>>>,
    paused: BTreeSet<RouteId>,
    revision: u64,
}

impl KnownDestinations {
    /// None yet; each will have `quota_bytes` of the parked stream.
    pub(crate) fn new(partition: u32, partitions: u32, quota_bytes: u64) -> Self {
        Self {
            partition,
            partitions,
            quota_bytes,
            known: HashMap::new(),
            paused: BTreeSet::new(),
            revision: 0,
        }
    }

    /// The input that makes `id` known, where the engine does not know it yet.
    pub(crate) fn introduce(&mut self, id: DestinationId, snapshot: &Snapshot) -> Option<Input> {
        if self.known.contains_key(&id) {
            return None;
        }
        let destination = snapshot.receiver(id).cloned();
        let input = self.input(id, destination.as_deref());
        self.known.insert(id, destination);
        Some(input)
    }

    /// The inputs for what changed since the last call: paused routes, and known destinations.
    pub(crate) fn changes(&mut self, snapshot: &Snapshot) -> Vec<Input> {
        if snapshot.revision() == self.revision {
            return Vec::new();
        }
        self.revision = snapshot.revision();
        let mut inputs = Vec::new();
        if self.paused != *snapshot.paused_routes() {
            self.paused = snapshot.paused_routes().clone();
            let paused = self.paused.iter().map(|route| ShortId::of(route.as_u128()));
            inputs.push(Input::PausedRoutes(paused.collect()));
        }
        let mut changed = Vec::new();
        for (id, known) in &mut self.known {
            let current = snapshot.receiver(*id);
            let same = match (&*known, current) {
                (Some(before), Some(now)) => Arc::ptr_eq(before, now),
                (None, None) => true,
                _ => false,
            };
            if !same {
                *known = current.cloned();
                changed.push((*id, current.cloned()));
            }
        }
        let input = |(id, destination): (_, Option<Arc<Destination>>)| self.input(id, destination.as_deref());
        inputs.extend(changed.into_iter().map(input));
        inputs
    }

    fn input(&self, id: DestinationId, destination: Option<&Destination>) -> Input {
        let rules = destination.map(|destination| {
            let parts = partition::of_destination(id, destination.spec.spread, self.partitions);
            let own = parts.get(&self.partition).copied().unwrap_or(1);
            Box::new(rules(destination, own, self.quota_bytes))
        });
        Input::Destination(id, rules)
    }
}

/// What the engine needs of a definition: its limits, or its share of them where the destination
/// spreads and `own` of its parts lie in this partition.
fn rules(destination: &Destination, own: u32, quota_bytes: u64) -> DestinationRules {
    let spec = &destination.spec;
    let share = f64::from(own) / f64::from(spec.spread.max(1));
    // Rounded down, so that the shares are never more than the whole.
    let in_flight = (f64::from(spec.max_in_flight) * share) as u32;
    DestinationRules {
        enabled: spec.enabled,
        max_in_flight: in_flight.max(1),
        rate: spec.rate_limit.map(|rate| RateRule {
            per_second: rate.per_second * share,
            burst: (f64::from(rate.burst) * share).max(1.0),
        }),
        retry: spec.retry.clone(),
        on_dead: spec.on_dead,
        parked_bytes: (quota_bytes as f64 * share) as u64,
    }
}

#[cfg(test)]
mod tests {
    use hookrail_domain::{destination::DestinationSpec, ids::WorkspaceId, rate_limit::RateLimit};

    use super::*;

    #[test]
    fn the_shares_of_a_destination_s_limits_add_up_to_no_more_than_the_limits() {
        for (spread, max_in_flight) in [(1, 32), (3, 32), (7, 7), (32, 100)] {
            let destination = Destination {
                id: DestinationId::from_u128(9),
                workspace: WorkspaceId::from_u128(1),
                spec: DestinationSpec {
                    spread,
                    max_in_flight,
                    rate_limit: Some(RateLimit {
                        per_second: 50.0,
                        burst: 500,
                    }),
                    ..DestinationSpec::default()
                },
            };
            let parts = partition::of_destination(destination.id, spread, 8);
            let shares: Vec<_> = parts
                .into_values()
                .map(|own| rules(&destination, own, 0))
                .collect();
            let in_flight: u32 = shares.iter().map(|share| share.max_in_flight).sum();
            let per_second: f64 = shares
                .iter()
                .filter_map(|share| share.rate)
                .map(|rate| rate.per_second)
                .sum();
            let burst: f64 = shares
                .iter()
                .filter_map(|share| share.rate)
                .map(|rate| rate.burst)
                .sum();
            assert!(
                in_flight <= max_in_flight && in_flight > 0,
                "{spread}: {in_flight}"
            );
            assert!((per_second - 50.0).abs() < 1e-9, "{spread}: {per_second}");
            assert!((burst - 500.0).abs() < 1e-9, "{spread}: {burst}");
        }
    }
}
