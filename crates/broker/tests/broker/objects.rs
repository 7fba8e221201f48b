//! Large bodies: put, read, listed, removed, and looked for by their owners.

use bytes::Bytes;
use hookrail_broker::{OutMessage, PublishError, WaitingDelivery};
use hookrail_domain::ids::{DeliveryId, DestinationId};

use crate::nats::Nats;

const MIB: usize = 1024 * 1024;

fn body(bytes: usize) -> Bytes {
    (0..bytes)
        .map(|index| (index / 7 % 251) as u8)
        .collect::<Vec<_>>()
        .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_comes_out_as_it_went_in_however_often_it_is_put() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let publisher = broker.publisher();
    for size in [0, 1, 512 * 1024, 512 * 1024 + 1, 5 * MIB] {
        let (name, body) = (format!("evt_{size}.hash"), body(size));
        for _ in 0..2 {
            publisher.put_object(&name, body.clone()).await.unwrap();
        }
        let found = broker.get_object(&name, size as u64).await.unwrap();
        assert!(found.is_some_and(|found| found == body), "{size}");
        assert_eq!(
            broker.get_object(&name, size as u64 + 1).await.unwrap(),
            None,
            "{size}"
        );
    }
    let found = broker.list_objects(0, 3).await.unwrap();
    let names: Vec<_> = found.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(names, ["evt_0.hash", "evt_1.hash", "evt_524288.hash"]);
    let rest = broker.list_objects(found[2].sequence, 10).await.unwrap();
    assert_eq!(rest.len(), 2);
    let before = broker.objects_state().await.unwrap();
    assert!(
        before.bytes > 6 * MIB as u64 && before.percent() < 50,
        "{before:?}"
    );
    for _ in 0..2 {
        broker.delete_object("evt_5242880.hash").await.unwrap();
    }
    assert_eq!(
        broker
            .get_object("evt_5242880.hash", 5 * MIB as u64)
            .await
            .unwrap(),
        None
    );
    let after = broker.objects_state().await.unwrap();
    assert!(after.bytes < before.bytes - 5 * MIB as u64);
    assert_eq!(broker.list_objects(0, 10).await.unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_refuses_and_says_so() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let publisher = broker.publisher();
    publisher.put_object("evt_1.a", body(12 * MIB)).await.unwrap();
    let refused = publisher.put_object("evt_2.a", body(12 * MIB)).await;
    assert!(
        matches!(refused, Err(PublishError::Refused { .. })),
        "{refused:?}"
    );
    assert_eq!(broker.get_object("evt_2.a", 12 * MIB as u64).await.unwrap(), None);
    broker.delete_object("evt_1.a").await.unwrap();
    publisher.put_object("evt_2.a", body(12 * MIB)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_waiting_while_its_queue_has_it() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let publisher = broker.publisher();
    let destination = DestinationId::from_u128(5);
    let (lane, other) = (7, DeliveryId::from_u128(1));
    let of = |delivery| WaitingDelivery {
        delivery,
        destination,
        lane,
        is_ordered: true,
    };
    let retried = DeliveryId::from_u128(2);
    assert!(!broker.is_waiting(1, &of(retried)).await.unwrap());
    for id in [other.to_string(), format!("{retried}.r1")] {
        let message = OutMessage::plain(&id, Bytes::from_static(b"x"));
        let lane = format!("{lane:016x}");
        let destination = destination.to_string();
        let published = publisher.publish_delivery(1, &destination, &lane, message);
        published.await.unwrap();
    }
    assert!(broker.is_waiting(1, &of(retried)).await.unwrap());
    assert!(broker.is_waiting(1, &of(other)).await.unwrap());
    assert!(!broker.is_waiting(1, &of(DeliveryId::from_u128(3))).await.unwrap());
    assert!(!broker.is_waiting(0, &of(other)).await.unwrap());
}
