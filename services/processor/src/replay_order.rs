//! The order in which a replay goes: within each raw partition as accepted, and the partitions merged by
//! the time of acceptance. Keeps a few items of each partition in memory.

use std::collections::{BTreeMap, VecDeque};

use hookrail_domain::ids::ReplayId;
use hookrail_store::{
    StoreError,
    replay_items::{self, ReplayItem},
    sea_orm::ConnectionTrait,
};

/// Items kept in memory over all partitions, roughly.
const KEPT: usize = 4_096;
/// Items of one partition read at once, at least and at most.
const READ_AT_ONCE: (usize, usize) = (16, 256);

/// What is left of a replay, in order.
#[derive(Debug, Default)]
pub(crate) struct ReplayOrder {
    parts: BTreeMap<u32, Part>,
}

#[derive(Debug, Default)]
struct Part {
    ahead: VecDeque<ReplayItem>,
    /// The last one read.
    last: Option<ReplayItem>,
    /// Nothing is left to be read.
    all_read: bool,
}

impl ReplayOrder {
    /// The order of all that the store has of a replay.
    pub(crate) async fn begin<C: ConnectionTrait>(reader: &C, replay: ReplayId) -> Result<Self, StoreError> {
        let partitions = replay_items::partitions(reader, replay).await?;
        let parts = partitions
            .into_iter()
            .map(|partition| (partition, Part::default()));
        Ok(Self {
            parts: parts.collect(),
        })
    }

    /// The next items, at most `most`; fewer only at the end.
    pub(crate) async fn next<C: ConnectionTrait>(
        &mut self,
        reader: &C,
        replay: ReplayId,
        most: usize,
    ) -> Result<Vec<ReplayItem>, StoreError> {
        let mut items = Vec::with_capacity(most);
        while items.len() < most {
            self.read_ahead(reader, replay).await?;
            match self.pop() {
                Some(item) => items.push(item),
                None => break,
            }
        }
        Ok(items)
    }

    /// Takes back what was not worked on, which is what came last.
    pub(crate) fn give_back(&mut self, items: Vec<ReplayItem>) {
        for item in items.into_iter().rev() {
            let part = self.parts.entry(item.origin.partition).or_default();
            part.ahead.push_front(item);
        }
    }

    async fn read_ahead<C: ConnectionTrait>(
        &mut self,
        reader: &C,
        replay: ReplayId,
    ) -> Result<(), StoreError> {
        let (least, most) = READ_AT_ONCE;
        let wanted = (KEPT / self.parts.len().max(1)).clamp(least, most);
        let empty = self.parts.iter_mut().filter(|(_, part)| part.is_unknown());
        for (partition, part) in empty {
            let found =
                replay_items::first(reader, replay, *partition, part.last.as_ref(), wanted as u32).await?;
            part.all_read = found.len() < wanted;
            part.last = found.last().cloned().or(part.last.take());
            part.ahead.extend(found);
        }
        Ok(())
    }

    /// The item that was accepted first, of those at the front of a partition.
    fn pop(&mut self) -> Option<ReplayItem> {
        let fronts = self.parts.iter().filter_map(|(partition, part)| {
            let front = part.ahead.front()?;
            Some((front.accepted_at, *partition))
        });
        let (_, first) = fronts.min()?;
        self.parts.get_mut(&first)?.ahead.pop_front()
    }
}

impl Part {
    fn is_unknown(&self) -> bool {
        self.ahead.is_empty() && !self.all_read
    }
}

#[cfg(test)]
mod tests {
    use hookrail_domain::event::Origin;

    use super::*;

    fn item(partition: u32, sequence: u64, accepted_at: i64) -> ReplayItem {
        ReplayItem {
            item: format!("{partition}.{sequence}"),
            origin: Origin {
                partition,
                sequence,
                index: 0,
            },
            accepted_at,
        }
    }

    fn order(items: &[ReplayItem]) -> ReplayOrder {
        let mut order = ReplayOrder::default();
        order.give_back(items.to_vec());
        order
    }

    fn all(order: &mut ReplayOrder) -> Vec<String> {
        std::iter::from_fn(|| order.pop()).map(|item| item.item).collect()
    }

    #[test]
    fn partitions_are_merged_by_time_and_keep_their_own_order() {
        // Two requests at once may get sequences that are not in the order of their clocks.
        let mut order = order(&[
            item(0, 1, 10),
            item(0, 2, 30),
            item(0, 3, 20),
            item(1, 7, 15),
            item(1, 8, 25),
        ]);
        assert_eq!(all(&mut order), ["0.1", "1.7", "1.8", "0.2", "0.3"]);
    }

    #[test]
    fn what_is_given_back_comes_first_again() {
        let mut order = order(&[item(0, 1, 10), item(0, 2, 20), item(1, 5, 15)]);
        let taken: Vec<ReplayItem> = std::iter::from_fn(|| order.pop()).collect();
        order.give_back(taken[1..].to_vec());
        assert_eq!(all(&mut order), ["1.5", "0.2"]);
    }
}
