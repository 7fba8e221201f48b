//! Unordered deliveries: each stands for itself and waits for nothing but its destination.

use super::{
    Arrival, PartitionLanes,
    front::{Head, Item, Unit},
    partition_lanes::Turn,
};
use crate::retry::Progress;

impl PartitionLanes {
    pub(super) fn arrive_single(&mut self, arrival: &Arrival, turn: &mut Turn<'_>) {
        let item = Item::new(arrival);
        self.singles
            .insert(item.place, Head::new(item, Progress::default()));
        self.begin_head(Unit::Single(item.destination, item.place), turn);
        self.move_what_is_too_much(item, turn);
    }
}
