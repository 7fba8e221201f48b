//! Paused routes: what came through one is not sent. It waits where it takes no place in the queue: an ordered
//! lane is parked behind it, an unordered delivery goes to the route's own tier, which nobody reads meanwhile.

use std::collections::BTreeSet;

use super::{
    Action, HoldReason, Parking, PartitionLanes, Place, TierKey,
    front::{Head, Stage, Unit},
    partition_lanes::Turn,
};
use crate::short_id::ShortId;

impl PartitionLanes {
    /// Takes in which routes are paused; what waits for another one goes on. Looks at every lane: routes are
    /// paused seldom.
    pub(super) fn pause_routes(&mut self, paused: BTreeSet<ShortId>, turn: &mut Turn<'_>) {
        let before = std::mem::replace(&mut self.paused_routes, paused);
        if before.is_subset(&self.paused_routes) {
            return;
        }
        for unit in self.units_that_go_on() {
            self.begin_head(unit, turn);
        }
        let released = |key| matches!(key, TierKey::Route(route) if before.contains(&route));
        for (destination, tier) in self.waiting_tiers(|_, key| released(key)) {
            self.wake_tier(destination, tier);
        }
    }

    fn units_that_go_on(&self) -> Vec<Unit> {
        let goes_on = |head: &Head| head.stage == Stage::Paused && !self.is_paused(head.item.route);
        let lanes = self.lanes.iter();
        let lanes = lanes.filter(|(_, lane)| lane.head.as_ref().is_some_and(goes_on));
        let singles = self.singles.iter().filter(|(_, head)| goes_on(head));
        let singles = singles.map(|(place, head)| Unit::Single(head.item.destination, *place));
        let mut units: Vec<Unit> = lanes.map(|(id, _)| Unit::Lane(*id)).chain(singles).collect();
        units.sort_unstable();
        units
    }

    pub(super) fn is_paused(&self, route: Option<ShortId>) -> bool {
        route.is_some_and(|route| self.paused_routes.contains(&route))
    }

    pub(super) fn is_paused_tier(&self, tier: TierKey) -> bool {
        matches!(tier, TierKey::Route(route) if self.is_paused(Some(route)))
    }

    /// The unit's turn came, and its route is paused.
    pub(super) fn wait_for_route(&mut self, unit: Unit, turn: &mut Turn<'_>) {
        let Some(head) = self.head_mut(unit) else { return };
        head.stage = Stage::Paused;
        let (place, route) = (head.item.place, head.item.route);
        let progress = head.progress;
        self.tell_caller_of(unit, turn);
        if matches!(unit, Unit::Lane(_)) {
            turn.actions.push(Action::RecordPaused { place, progress });
        }
        match (unit, route) {
            _ if self.parking == Parking::Off => {}
            (Unit::Lane(id), _) if matches!(place, Place::Queue(_)) => {
                self.park(id, HoldReason::Paused, turn);
            }
            (Unit::Lane(id), _) => {
                if let Some(parked) = self.lanes.get_mut(&id).and_then(|lane| lane.parked.as_mut()) {
                    parked.reason = HoldReason::Paused;
                }
            }
            (Unit::Single(..), Some(route)) => {
                self.move_to(TierKey::Route(route), place, HoldReason::Paused, turn);
            }
            _ => {}
        }
    }
}
