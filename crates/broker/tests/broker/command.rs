//! Asking the owner of a delivery partition, and finding a delivery among the parked ones.

use std::time::Duration;

use hookrail_broker::codec::{Ask, OwnerAnswer, OwnerRequest};
use hookrail_broker::{Append, AskError, DeliveryReader};
use hookrail_domain::ids::{DeliveryId, DestinationId};
use hookrail_domain::lane::{CommandAnswer, LaneId, LaneKey, ParkedSubject, Target, TierKey, Verb};
use hookrail_domain::ownership::Role;

use crate::nats::Nats;
use crate::parked::parked;

const PATIENCE: Duration = Duration::from_secs(5);

fn destination() -> DestinationId {
    DestinationId::from_u128(5)
}

fn target(delivery: u128, lane: Option<u64>) -> Target {
    Target {
        delivery: DeliveryId::from_u128(delivery),
        destination: destination(),
        lane: lane.map(LaneKey::from_u64),
    }
}

fn request(id: &str) -> OwnerRequest {
    OwnerRequest {
        id: id.to_owned(),
        ask: Ask::Command(Verb::Retry, target(1, None)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_partition_answers_and_nobody_else() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let nobody = broker.ask_owner(0, &request("a"), PATIENCE).await;
    assert_eq!(nobody, Err(AskError::NoOwner));
    let mut worker = nats.worker("one", Role::Dispatcher, 1).await;
    let lease = worker.gained().await;
    let mut requests = broker.owner_requests(&lease).await.unwrap();
    let done = OwnerAnswer::Outcome(CommandAnswer::Done);
    let (asker, expected) = (nats.broker().await, done.clone());
    let asked = tokio::spawn(async move { asker.ask_owner(0, &request("b"), PATIENCE).await });
    let (received, reply) = requests.next().await.unwrap();
    assert_eq!(received, request("b"));
    reply.answer(&done).await;
    assert_eq!(asked.await.unwrap(), Ok(expected));
    // One that lost its lease says nothing, whatever it was asked before.
    let asker = nats.broker().await;
    let asked = tokio::spawn(async move { asker.ask_owner(0, &request("c"), Duration::from_secs(1)).await });
    let (_, reply) = requests.next().await.unwrap();
    worker.ownership.give_up(&lease).await;
    reply.answer(&done).await;
    let silent = asked.await.unwrap();
    assert!(matches!(silent, Err(AskError::Unknown(_))), "{silent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_delivery_is_found_in_its_lane_or_in_any_tier() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let mut worker = nats.worker("one", Role::Dispatcher, 1).await;
    let lease = worker.gained().await;
    let store = DeliveryReader::open(&broker, &lease)
        .await
        .unwrap()
        .parked_store();
    let lane = LaneId {
        destination: destination(),
        key: LaneKey::from_u64(9),
    };
    let mut places = Vec::new();
    for number in 1..=300 {
        let subject = match number % 3 {
            0 => ParkedSubject::Lane(lane),
            tier => ParkedSubject::Tier(destination(), TierKey::Step(u8::try_from(tier).unwrap())),
        };
        let Append::Stored(sequence) = store.append(subject, &parked(number, 10)).await.unwrap() else {
            panic!("refused");
        };
        places.push((number, subject, sequence));
    }
    for (number, subject, sequence) in places.iter().copied().filter(|(number, ..)| number % 50 < 3) {
        let lane = matches!(subject, ParkedSubject::Lane(_)).then_some(9);
        let found = store.find(&target(u128::from(number), lane)).await.unwrap();
        let (at, stored) = found.expect("it is parked");
        assert_eq!((at, stored.sequence), (subject, sequence), "{number}");
        assert_eq!(stored.parked, parked(number, 10));
        store.delete(sequence).await.unwrap();
        assert_eq!(store.find(&target(u128::from(number), lane)).await.unwrap(), None);
    }
    assert_eq!(
        store.find(&target(3, None)).await.unwrap(),
        None,
        "it is in a lane"
    );
    assert_eq!(store.find(&target(9_999, Some(9))).await.unwrap(), None);
    assert_eq!(store.find(&target(9_999, Some(1))).await.unwrap(), None);
}
