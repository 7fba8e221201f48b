//! Which partition an event or a delivery belongs to, and the hashes behind it. They are part of
//! the data at rest: a change would reorder what is on its way.

use std::collections::BTreeMap;

use data_encoding::{BASE32_NOPAD, Encoding};
use sha2::{Digest, Sha256};

use crate::{
    Millis,
    ids::{DeliveryId, DestinationId, EventId, Id, ReplayId},
};

/// Most partitions of an installation: what an event id has room for.
pub const MAX_PARTITIONS: u32 = 1024;

/// SHA-256 over `parts`, each preceded by its length so that no two lists collide.
pub fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn first_u64(hash: [u8; 32]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = hash;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The raw partition, of `partitions`, of the events of `scope` (a source, or a workspace for posted
/// events) with this key.
pub fn of_key(scope: u128, key: &str, partitions: u32) -> u32 {
    let hash = hash(&[b"raw", &scope.to_be_bytes(), key.as_bytes()]);
    (first_u64(hash) % u64::from(partitions)) as u32
}

/// The raw partition of an event that has no key of any kind: any one will do, so it follows from
/// the random bits of the new id, which [`EventId::with_partition`] then overwrites.
pub fn of_event(id: EventId, partitions: u32) -> u32 {
    id.partition() % partitions
}

/// The number of a lane: a hash of its destination and ordering key, or of its destination and
/// delivery where there is no order.
pub fn lane_hash(destination: DestinationId, key: &str) -> u64 {
    first_u64(hash(&[
        b"lane",
        &destination.as_u128().to_be_bytes(),
        key.as_bytes(),
    ]))
}

/// The delivery partition of a lane of `destination`.
pub fn of_lane(destination: DestinationId, lane: u64, spread: u32, partitions: u32) -> u32 {
    let slot = lane % u64::from(spread.max(1));
    let hash = hash(&[b"dlv", &destination.as_u128().to_be_bytes(), &slot.to_be_bytes()]);
    (first_u64(hash) % u64::from(partitions)) as u32
}

/// The delivery partitions of a destination, and how many of its `spread` parts each holds: the
/// share of the destination's limits that is its own.
pub fn of_destination(destination: DestinationId, spread: u32, partitions: u32) -> BTreeMap<u32, u32> {
    let mut parts = BTreeMap::new();
    for slot in 0..spread.max(1) {
        let partition = of_lane(destination, u64::from(slot), spread, partitions);
        *parts.entry(partition).or_default() += 1;
    }
    parts
}

/// A delivery's id: its event's time, and a hash of what makes it this delivery and no other, so
/// that planning an event twice gives the same ids.
pub fn delivery_id(event: EventId, accepted_at: Millis, parts: &[&str]) -> DeliveryId {
    let event_bytes = event.as_u128().to_be_bytes();
    let mut all: Vec<&[u8]> = vec![b"delivery", &event_bytes];
    all.extend(parts.iter().map(|part| part.as_bytes()));
    let hash = hash(&all);
    let random = u128::from_be_bytes(hash[..16].try_into().expect("a SHA-256 has 32 bytes"));
    DeliveryId::from_parts(accepted_at, random)
}

/// The id of the delivery that `replay` sends `original` again as: the same however often it is made.
pub fn replayed_delivery_id(original: DeliveryId, replay: ReplayId) -> DeliveryId {
    let hash = hash(&[
        b"replayed",
        &original.as_u128().to_be_bytes(),
        &replay.as_u128().to_be_bytes(),
    ]);
    let random = u128::from_be_bytes(hash[..16].try_into().expect("a SHA-256 has 32 bytes"));
    DeliveryId::from_parts(original.time(), random)
}

/// A hash as a subject token: lower-case base32 of its first 20 bytes.
pub fn token(hash: [u8; 32]) -> String {
    const ENCODING: Encoding = BASE32_NOPAD;
    ENCODING.encode(&hash[..20]).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
    }

    #[test]
    fn keys_spread_over_all_partitions_and_stay_where_they_are() {
        let partitions: std::collections::BTreeSet<u32> =
            (0..500).map(|n| of_key(7, &n.to_string(), 32)).collect();
        assert_eq!(partitions.len(), 32);
        assert_eq!(of_key(7, "customer-42", 32), of_key(7, "customer-42", 32));
    }

    #[test]
    fn these_values_are_at_rest_in_streams_and_must_not_change() {
        let destination = DestinationId::from_u128(1);
        assert_eq!(lane_hash(destination, "customer:42"), 15_038_454_176_200_558_060);
        assert_eq!(
            (of_key(7, "customer-42", 32), of_lane(destination, 5, 1, 32)),
            (22, 24)
        );
    }

    #[test]
    fn spread_one_puts_all_lanes_of_a_destination_in_one_partition() {
        let destination = DestinationId::from_u128(9);
        let of = |lane| of_lane(destination, lane, 1, 32);
        assert!((0..100).all(|lane| of(lane) == of(0)));
    }

    #[test]
    fn a_destination_lies_where_its_lanes_lie_and_its_parts_add_up() {
        for spread in [1, 3, 8, 100] {
            let destination = DestinationId::from_u128(9);
            let parts = of_destination(destination, spread, 8);
            assert_eq!(parts.values().sum::<u32>(), spread);
            let lanes = (0..1_000).map(|lane| of_lane(destination, lane, spread, 8));
            let of_lanes: std::collections::BTreeSet<u32> = lanes.collect();
            assert!(of_lanes.iter().eq(parts.keys()), "{spread}");
        }
    }

    #[test]
    fn a_replay_gives_each_delivery_one_new_id_of_the_same_time() {
        let original = DeliveryId::from_parts(1_764_000_000_000, 5);
        let replay = ReplayId::from_u128(9);
        let again = replayed_delivery_id(original, replay);
        assert_eq!(again, replayed_delivery_id(original, replay));
        assert_ne!(again, original);
        assert_ne!(again, replayed_delivery_id(original, ReplayId::from_u128(10)));
        assert_eq!(again.time(), original.time());
    }

    #[test]
    fn a_delivery_id_depends_on_everything_that_makes_it() {
        let event = EventId::from_u128(3);
        let id = delivery_id(event, 1000, &["entity.created", "42", "rte_1"]);
        assert_eq!(id, delivery_id(event, 1000, &["entity.created", "42", "rte_1"]));
        assert_ne!(id, delivery_id(event, 1000, &["entity.created", "42", "rte_2"]));
        assert_eq!(id.time(), 1000);
    }
}
