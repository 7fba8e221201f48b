//! Tiers: unordered deliveries in the parked stream, first in, first out, one subject per destination
//! and retry step, and one for each paused route. Memory is per tier, however many deliveries wait in it.

use std::collections::BTreeSet;

use super::{
    Action, End, HoldReason, ParkedMessage, ParkedSubject, Parking, PartitionLanes, Place, TierKey,
    commands::TAKEN_MAX,
    front::{Head, Item, Stage, Unit},
    partition_lanes::Turn,
    timers::Alarm,
};
use crate::{Millis, delivery::ErrorCode, ids::DestinationId, retry::Progress};

/// What a tier waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum TierWait {
    /// Nothing, or those in memory to go.
    #[default]
    No,
    /// The moment at which its first message is due.
    Until(Millis),
    /// Its turn to be read.
    Ready,
    /// What is being read.
    Reading,
}

/// One tier of a destination.
#[derive(Debug, Default)]
pub(super) struct Tier {
    /// Messages counted in it, less those read: below zero while one is read before its append is
    /// confirmed.
    unread: i64,
    /// Appends to it under way: what they add is not counted yet.
    appending: u32,
    /// The last sequence read.
    read_to: u64,
    /// Messages read and not yet gone from it.
    in_memory: u32,
    /// Sequences that were taken out of turn, and that the reading has not passed.
    taken: BTreeSet<u64>,
    waits: TierWait,
}

impl Tier {
    fn is_over(&self) -> bool {
        self.unread == 0 && self.in_memory == 0 && self.appending == 0 && self.waits == TierWait::No
    }
}

impl PartitionLanes {
    /// Moves an unordered delivery out of memory where its destination has too many there.
    pub(super) fn move_what_is_too_much(&mut self, item: Item, turn: &mut Turn<'_>) {
        let gate = self
            .gates
            .get(&item.destination)
            .filter(|gate| self.parking == Parking::On && !gate.deleted);
        if let Some(reason) = gate.and_then(|gate| gate.parks(&self.limits, turn.now)) {
            self.move_to_tier(item.place, reason, turn);
        }
    }

    /// Appends an unordered delivery to the tier of its retry step.
    pub(super) fn move_to_tier(&mut self, place: Place, reason: HoldReason, turn: &mut Turn<'_>) {
        let attempts = self.singles.get(&place).map(|head| head.progress.attempts);
        let step = u8::try_from(attempts.unwrap_or_default()).unwrap_or(u8::MAX);
        self.move_to(TierKey::Step(step.min(self.limits.tiers)), place, reason, turn);
    }

    /// Appends an unordered delivery to a tier.
    pub(super) fn move_to(&mut self, tier: TierKey, place: Place, reason: HoldReason, turn: &mut Turn<'_>) {
        let Some(head) = self.singles.get_mut(&place) else {
            return;
        };
        let (item, progress) = (head.item, head.progress);
        let unit = Unit::Single(item.destination, place);
        if self.draining || self.cancelled.contains(&item.delivery) || !self.is_wanted(item.destination) {
            return self.begin_head(unit, turn);
        }
        self.stop_waiting(unit);
        // From tier to tier nothing is added for long.
        if matches!(place, Place::Queue(_)) && !self.has_room(&item, turn) {
            return self.settle(unit, End::Dead(ErrorCode::OverQuota), turn);
        }
        self.count_parked(&item);
        if let Some(head) = self.singles.get_mut(&place) {
            head.stage = Stage::Moving;
        }
        let to = ParkedSubject::Tier(item.destination, tier);
        self.begin_append(place, unit, to, progress, reason, turn);
    }

    /// An append to the tier is under way: it is kept until that is over.
    pub(super) fn begin_append_to_tier(&mut self, destination: DestinationId, number: TierKey) {
        self.tiers.entry((destination, number)).or_default().appending += 1;
    }

    /// An append to the tier is over.
    pub(super) fn end_append_to_tier(&mut self, destination: DestinationId, number: TierKey) {
        if let Some(tier) = self.tiers.get_mut(&(destination, number)) {
            tier.appending = tier.appending.saturating_sub(1);
        }
        self.forget_tier_that_is_over(destination, number);
    }

    fn forget_tier_that_is_over(&mut self, destination: DestinationId, number: TierKey) -> bool {
        let over = self.tiers.get(&(destination, number)).is_some_and(Tier::is_over);
        if over {
            self.tiers.remove(&(destination, number));
        }
        over
    }

    /// Whether the reading of a tier has passed a message.
    pub(super) fn was_read_from_tier(
        &self,
        destination: DestinationId,
        number: TierKey,
        sequence: u64,
    ) -> bool {
        let tier = self.tiers.get(&(destination, number));
        tier.is_some_and(|tier| sequence <= tier.read_to)
    }

    pub(super) fn appended_to_tier(
        &mut self,
        destination: DestinationId,
        number: TierKey,
        progress: Progress,
        turn: &mut Turn<'_>,
    ) {
        let tier = self.tiers.entry((destination, number)).or_default();
        tier.unread += 1;
        if tier.unread == 1 && tier.waits == TierWait::No {
            self.wait_for_tier(destination, number, progress.next_at, turn.now);
        }
    }

    /// Notes a message that is taken into memory out of turn; `counted` where it is one of the unread.
    /// False where its turn has come or passed, or where too many are out.
    pub(super) fn take_from_tier(
        &mut self,
        destination: DestinationId,
        number: TierKey,
        sequence: u64,
        counted: bool,
    ) -> bool {
        let tier = match counted {
            true => self.tiers.get_mut(&(destination, number)),
            false => Some(self.tiers.entry((destination, number)).or_default()),
        };
        let Some(tier) = tier else { return false };
        if counted && (sequence <= tier.read_to || tier.taken.len() >= TAKEN_MAX)
            || tier.taken.contains(&sequence)
        {
            return false;
        }
        tier.taken.insert(sequence);
        tier.unread -= i64::from(counted);
        tier.in_memory += 1;
        true
    }

    /// The unordered delivery at `place` is settled, or lies elsewhere.
    pub(super) fn single_gone(&mut self, place: Place, turn: &mut Turn<'_>) {
        let Some(head) = self.singles.remove(&place) else {
            return;
        };
        let (Place::Parked(sequence), Some(number)) = (place, head.item.tier) else {
            return;
        };
        let destination = head.item.destination;
        if let Some(tier) = self.tiers.get_mut(&(destination, number)) {
            tier.in_memory = tier.in_memory.saturating_sub(1);
            // What is being read now may show it once more.
            if tier.waits != TierWait::Reading {
                tier.taken.remove(&sequence);
            }
            if tier.waits == TierWait::No && tier.unread > 0 && tier.in_memory <= self.limits.tier_read / 2 {
                self.wait_for_tier(destination, number, 0, turn.now);
            }
        }
        self.forget_tier_that_is_over(destination, number);
    }

    fn wait_for_tier(&mut self, destination: DestinationId, number: TierKey, at: Millis, now: Millis) {
        let Some(tier) = self.tiers.get_mut(&(destination, number)) else {
            return;
        };
        if at > now {
            tier.waits = TierWait::Until(at);
            self.timers.set(at, Alarm::Head(Unit::Tier(destination, number)));
        } else {
            self.wake_tier(destination, number);
        }
    }

    /// The tier waits for nothing but its turn to be read; one of a paused route is left alone, unless it is to be
    /// cancelled.
    pub(super) fn wake_tier(&mut self, destination: DestinationId, number: TierKey) {
        let unit = Unit::Tier(destination, number);
        if self.is_paused_tier(number) && self.is_wanted(destination) {
            return;
        }
        let Some(tier) = self.tiers.get_mut(&(destination, number)) else {
            return;
        };
        match std::mem::replace(&mut tier.waits, TierWait::Ready) {
            waits @ (TierWait::Reading | TierWait::Ready) => tier.waits = waits,
            TierWait::Until(at) => {
                self.timers.clear(at, Alarm::Head(unit));
                self.push_unread(unit, number == TierKey::FIRST);
            }
            TierWait::No => self.push_unread(unit, number == TierKey::FIRST),
        }
    }

    /// Its destination is deleted: what is in the tiers is read, and cancelled.
    pub(super) fn wake_tiers(&mut self, destination: DestinationId) {
        for number in self.waiting_tiers(|of, _| of == destination) {
            self.wake_tier(destination, number.1);
        }
    }

    /// The tiers among these that have something to be read, in order.
    pub(super) fn waiting_tiers(
        &self,
        wanted: impl Fn(DestinationId, TierKey) -> bool,
    ) -> Vec<(DestinationId, TierKey)> {
        let waiting = self.tiers.iter().filter(|(_, tier)| tier.unread > 0);
        let mut found: Vec<_> = waiting
            .map(|(key, _)| *key)
            .filter(|(destination, key)| wanted(*destination, *key))
            .collect();
        found.sort_unstable();
        found
    }

    pub(super) fn tier_waits_for_turn(&self, destination: DestinationId, number: TierKey) -> bool {
        let tier = self.tiers.get(&(destination, number));
        tier.is_some_and(|tier| tier.waits == TierWait::Ready)
    }

    pub(super) fn load_tier(&mut self, destination: DestinationId, number: TierKey, count: u64) {
        let tier = Tier {
            unread: i64::try_from(count).unwrap_or(i64::MAX),
            ..Tier::default()
        };
        self.tiers.insert((destination, number), tier);
        self.wake_tier(destination, number);
    }

    pub(super) fn read_tier(
        &mut self,
        destination: DestinationId,
        number: TierKey,
        turn: &mut Turn<'_>,
    ) -> bool {
        let tier = self.tiers.get_mut(&(destination, number));
        let Some(tier) = tier.filter(|tier| tier.waits == TierWait::Ready) else {
            return false;
        };
        tier.waits = TierWait::Reading;
        let (after, most) = (
            tier.read_to,
            self.limits.tier_read.saturating_sub(tier.in_memory).max(1),
        );
        turn.actions.push(Action::ReadTier {
            destination,
            tier: number,
            after,
            most,
        });
        true
    }

    /// Takes those that are due; at the first that is not, the tier waits.
    pub(super) fn tier_read(
        &mut self,
        destination: DestinationId,
        number: TierKey,
        messages: &[ParkedMessage],
        turn: &mut Turn<'_>,
    ) {
        let tier = self.tiers.get_mut(&(destination, number));
        let Some(tier) = tier.filter(|tier| tier.waits == TierWait::Reading) else {
            return;
        };
        tier.waits = TierWait::No;
        let wanted = self.gates.get(&destination).is_some_and(|gate| !gate.deleted);
        let taken = std::mem::take(&mut tier.taken);
        let due = |message: &&ParkedMessage| {
            !wanted || message.progress.next_at <= turn.now || taken.contains(&message.parked)
        };
        let passed = messages.iter().take_while(due).count();
        if let Some(last) = passed.checked_sub(1).and_then(|last| messages.get(last)) {
            tier.read_to = last.parked;
        }
        let due: Vec<&ParkedMessage> = messages[..passed]
            .iter()
            .filter(|message| !taken.contains(&message.parked))
            .collect();
        tier.taken = taken
            .into_iter()
            .filter(|sequence| *sequence > tier.read_to)
            .collect();
        tier.unread -= due.len() as i64;
        tier.in_memory += due.len() as u32;
        let more = tier.unread > 0;
        let room = tier.in_memory <= self.limits.tier_read / 2;
        self.forget_tier_that_is_over(destination, number);
        let next_at = messages.get(passed).map(|message| message.progress.next_at);
        self.end_read(Unit::Tier(destination, number));
        for message in due {
            self.begin_parked_single(message, number, turn);
        }
        // Counted but not seen: looked for again a little later.
        let again_at = turn.now.saturating_add(self.limits.parked_retry_ms);
        let at = next_at.unwrap_or(if passed == 0 { again_at } else { 0 });
        if more && room {
            self.wait_for_tier(destination, number, at, turn.now);
        }
    }

    fn begin_parked_single(&mut self, message: &ParkedMessage, tier: TierKey, turn: &mut Turn<'_>) {
        let mut item = Item::new(&message.arrival);
        item.place = Place::Parked(message.parked);
        item.tier = Some(tier);
        self.singles.insert(
            item.place,
            Head {
                just_read: true,
                ..Head::new(item, message.progress)
            },
        );
        self.begin_head(Unit::Single(item.destination, item.place), turn);
    }
}
