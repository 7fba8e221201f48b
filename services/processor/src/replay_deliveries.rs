//! A page of deliveries sent again: each with its body, as a new delivery at its lane's tail.

use std::collections::{BTreeMap, HashMap, HashSet};

use hookrail_domain::{
    delivery::{Delivery, EntityRef},
    event::{Body, Origin},
    ids::{DeliveryId, DestinationId},
    journal::DeliveryFacts,
    partition,
    snapshot::Snapshot,
};
use hookrail_store::{
    dead_letters::{self, DeadLetterRow},
    deliveries::{self, DeliveryRow},
    replay_items::ReplayItem,
    unsettled_deliveries,
};

use crate::{
    consume_partition::Workshop,
    jobs::JobError,
    publish_deliveries::DeliveryPublisher,
    replay_page::{Desk, Page},
    replayed_body,
};

/// Bytes of bodies in memory at once, unless a single one is larger.
pub(crate) const PAGE_BYTES: u64 = 4 * 1024 * 1024;
/// How full a partition's queue may be, in percent, before replays wait: the rest is for what is new.
const FULL_PERCENT: u64 = 50;

/// Sends as many of the first `items` again as go together.
pub(crate) async fn page(desk: &Desk<'_>, items: &[ReplayItem]) -> Result<Page, JobError> {
    let reader = desk.workshop.store.reader();
    let ids: Vec<DeliveryId> = items.iter().filter_map(|item| item.item.parse().ok()).collect();
    let sizes = dead_letters::sizes(reader, &ids).await?;
    let sizes: Vec<u64> = ids
        .iter()
        .map(|id| sizes.get(id).copied().unwrap_or_default())
        .collect();
    let taken = fitting(&sizes, PAGE_BYTES);
    let ids = &ids[..taken];
    let bytes: u64 = sizes[..taken].iter().sum();
    let memory = match bytes > PAGE_BYTES {
        true => Some(desk.workshop.broker.large_memory(bytes).await),
        false => None,
    };
    let known = Known::load(desk, ids).await?;
    let snapshot = desk.workshop.snapshots.current();
    let mut page = Page {
        taken,
        ..Page::default()
    };
    let (mut again, mut bytes) = (Vec::with_capacity(ids.len()), 0);
    for (index, id) in ids.iter().enumerate() {
        match known.again(desk, &snapshot, *id).await? {
            Ok(delivery) => {
                bytes += delivery.body.size();
                again.push((*id, delivery));
            }
            Err(reason) => page.skip(reason),
        }
        // The size of what is not dead is only known now.
        if bytes >= PAGE_BYTES {
            page.taken = index + 1;
            break;
        }
    }
    let taken = page.taken;
    if !has_room(
        desk.workshop,
        &snapshot,
        again.iter().map(|(_, delivery)| delivery),
    )
    .await?
    {
        return Ok(Page {
            no_room: true,
            ..Page::default()
        });
    }
    publish(desk, &snapshot, &mut again, &known, &mut page).await?;
    commit(desk, &items[..taken], &again, &mut page).await?;
    drop((again, memory));
    Ok(page)
}

/// How many of the first go together, at least one.
pub(crate) fn fitting(sizes: &[u64], most: u64) -> usize {
    let mut sum = 0_u64;
    let fit = sizes.iter().take_while(|size| {
        sum = sum.saturating_add(**size);
        sum <= most
    });
    fit.count().max(1).min(sizes.len())
}

/// Deliveries that may wait for a destination before replays to it do: more of them would only lie parked
/// before what is new, and fill the destination's share of what may be.
const WAITING_MAX: u32 = 5_000;

/// Whether the queues that the deliveries go to have room for what can wait, and their destinations too.
pub(crate) async fn has_room<'d>(
    workshop: &Workshop,
    snapshot: &Snapshot,
    deliveries: impl Iterator<Item = &'d Delivery>,
) -> Result<bool, JobError> {
    let deliveries: Vec<&Delivery> = deliveries.collect();
    let destinations: HashSet<DestinationId> =
        deliveries.iter().map(|delivery| delivery.destination).collect();
    for destination in destinations {
        let reader = workshop.store.reader();
        if unsettled_deliveries::count(reader, &destination.to_string(), WAITING_MAX).await? >= WAITING_MAX {
            return Ok(false);
        }
    }
    let of = workshop.broker.settings().partitions;
    let spread = |delivery: &Delivery| {
        let destination = snapshot.destination(delivery.destination);
        destination.map_or(1, |destination| destination.spec.spread)
    };
    let partitions: HashSet<u32> = deliveries
        .into_iter()
        .map(|delivery| partition::of_lane(delivery.destination, delivery.lane(), spread(delivery), of))
        .collect();
    for partition in partitions {
        if workshop.broker.delivery_state(partition).await?.percent() >= FULL_PERCENT {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is stored of a page's deliveries.
struct Known {
    rows: HashMap<String, DeliveryRow>,
    letters: HashMap<String, DeadLetterRow>,
    /// What the page became before, where the journal has it already.
    published: HashSet<String>,
}

impl Known {
    async fn load(desk: &Desk<'_>, ids: &[DeliveryId]) -> Result<Self, JobError> {
        let reader = desk.workshop.store.reader();
        let rows = deliveries::load(reader, ids).await?;
        let letters = dead_letters::load(reader, ids).await?;
        let published = match desk.resumed {
            true => {
                let again: Vec<_> = ids
                    .iter()
                    .map(|id| partition::replayed_delivery_id(*id, desk.replay))
                    .collect();
                deliveries::load(reader, &again).await?
            }
            false => Vec::new(),
        };
        Ok(Self {
            rows: rows.into_iter().map(|row| (row.id.clone(), row)).collect(),
            letters: letters
                .into_iter()
                .map(|row| (row.delivery.clone(), row))
                .collect(),
            published: published.into_iter().map(|row| row.id).collect(),
        })
    }

    /// The delivery that `id` is sent again as, or why it can't be.
    async fn again(
        &self,
        desk: &Desk<'_>,
        snapshot: &Snapshot,
        id: DeliveryId,
    ) -> Result<Result<Delivery, &'static str>, JobError> {
        let Some(row) = self.rows.get(&id.to_string()) else {
            return Ok(Err("not_found"));
        };
        if matches!(row.status.as_str(), "pending" | "parked") {
            return Ok(Err("not_settled"));
        }
        let Some(mut delivery) = shell(row, desk, snapshot, id) else {
            return Ok(Err("not_readable"));
        };
        if snapshot.receiver(delivery.destination).is_none() {
            return Ok(Err("destination_deleted"));
        }
        let kept = match self.letters.get(&row.id) {
            Some(letter) => replayed_body::kept(desk.workshop, letter).await?,
            None => None,
        };
        let content = match kept {
            Some(content) => Some(content),
            None if delivery.fetcher.is_some() => replayed_body::of_fetch(snapshot, &delivery),
            None => replayed_body::from_log(desk.workshop, snapshot, &delivery).await?,
        };
        let Some(content) = content else {
            return Ok(Err("body_gone"));
        };
        (delivery.content_type, delivery.body) = (content.content_type, content.body);
        delivery.headers = content.headers;
        delivery.traceparent = content.traceparent;
        Ok(Ok(delivery))
    }
}

/// The delivery without its body; `None` where its row can't be read.
fn shell(row: &DeliveryRow, desk: &Desk<'_>, snapshot: &Snapshot, id: DeliveryId) -> Option<Delivery> {
    let destination = row.destination.parse().ok()?;
    let entity = row
        .entity_type
        .clone()
        .zip(row.unique_id.clone())
        .map(|(entity_type, unique_id)| EntityRef {
            entity_type,
            unique_id,
            version: row.entity_version.clone().unwrap_or_default(),
        });
    let lane_of = |key: &String| deliveries::lane_text(partition::lane_hash(destination, key));
    let lane_key = row.lane_key.clone().map(|key| match lane_of(&key) == row.lane {
        true => key,
        // The store escapes NUL; the lane's number tells that it did.
        false => key.replace("\\u0000", "\0"),
    });
    Some(Delivery {
        id: partition::replayed_delivery_id(id, desk.replay),
        event: row.event.parse().ok()?,
        event_type: row.event_type.clone(),
        workspace: row.workspace.parse().ok()?,
        source: row.source.as_ref().and_then(|id| id.parse().ok()),
        destination,
        route: row.route.as_ref().and_then(|id| id.parse().ok()),
        entity,
        lane_key,
        origin: Origin {
            partition: u32::try_from(row.origin_partition).ok()?,
            sequence: row.origin_sequence.unsigned_abs(),
            index: u32::try_from(row.origin_index).ok()?,
        },
        revision: snapshot.revision(),
        accepted_at: row.accepted_at,
        content_type: None,
        headers: Vec::new(),
        body: Body::inline(Vec::new()),
        traceparent: String::new(),
        replay: Some(desk.replay),
        reply: None,
        generation: 0,
        attempts_before: 0,
        was_held: false,
        fetcher: row.fetcher.as_ref().and_then(|id| id.parse().ok()),
    })
}

/// Publishes what was not published before; leaves out what is too large for a message.
async fn publish(
    desk: &Desk<'_>,
    snapshot: &Snapshot,
    again: &mut Vec<(DeliveryId, Delivery)>,
    known: &Known,
    page: &mut Page,
) -> Result<(), JobError> {
    let publisher = DeliveryPublisher {
        publisher: &desk.workshop.broker.publisher(),
        lease: desk.lease,
        snapshot,
        partitions: desk.workshop.broker.settings().partitions,
        metrics: &desk.workshop.metrics,
    };
    let unpublished = again
        .iter()
        .map(|(_, delivery)| delivery)
        .filter(|delivery| !known.published.contains(&delivery.id.to_string()));
    let too_large = publisher.publish(unpublished.collect()).await?;
    let too_large: BTreeMap<DeliveryId, ()> = too_large
        .into_iter()
        .map(|record| (record.delivery.id, ()))
        .collect();
    again.retain(|(_, delivery)| !too_large.contains_key(&delivery.id));
    for _ in too_large {
        page.skip("too_large");
    }
    Ok(())
}

async fn commit(
    desk: &Desk<'_>,
    items: &[ReplayItem],
    again: &[(DeliveryId, Delivery)],
    page: &mut Page,
) -> Result<(), JobError> {
    page.replayed = again.len() as u64;
    let planned: Vec<DeliveryFacts> = again
        .iter()
        .map(|(_, delivery)| DeliveryFacts::from(delivery))
        .collect();
    let pairs: Vec<_> = again
        .iter()
        .map(|(original, delivery)| (*original, delivery.id))
        .collect();
    let transaction = desk.workshop.store.write().await?;
    if !desk.advance(&transaction, items, page).await? {
        transaction.rollback().await?;
        return Err(crate::error::GiveUp::Replaced.into());
    }
    deliveries::insert_planned(&*transaction, &planned).await?;
    deliveries::mark_replayed(&*transaction, desk.replay, &pairs).await?;
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_many_as_fit_and_at_least_one() {
        assert_eq!(fitting(&[1, 2, 3], 10), 3);
        assert_eq!(fitting(&[4, 4, 4], 10), 2);
        assert_eq!(fitting(&[40, 4], 10), 1);
        assert_eq!(fitting(&[], 10), 0);
    }
}
