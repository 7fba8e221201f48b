//! Lists of deliveries, and one with its attempts.

use hookrail_domain::{
    Millis,
    delivery::{Attempt, Delivery, DeliveryStatus},
    event::{Body, Origin},
    ids::{DeliveryId, DestinationId, FetcherId, Id},
    journal::{AttemptRecord, DeliveryFacts, StateRecord},
};
use hookrail_store::{
    attempts, dead_letters, deliveries,
    queries::{self, Span, deliveries::DeliveryFilter},
};

use crate::databases::each_database;
use crate::samples::{OTHER_SOURCE, OTHER_WORKSPACE, SOURCE, WORKSPACE, id, newest};

fn facts(number: u32, at: Millis) -> DeliveryFacts {
    DeliveryFacts {
        id: DeliveryId::from_parts(at, u128::from(number)),
        event: id(at),
        event_type: "webhook.received".into(),
        workspace: WORKSPACE,
        source: Some(SOURCE),
        destination: DestinationId::from_u128(u128::from(number)),
        fetcher: None,
        route: None,
        entity: None,
        lane_key: Some("k".into()),
        origin: Origin {
            partition: 0,
            sequence: 9,
            index: number,
        },
        accepted_at: at,
        replay: None,
    }
}

fn attempt(number: u32, epoch: u64, started_at: Millis) -> AttemptRecord {
    AttemptRecord {
        delivery: facts(1, 1000),
        attempt: Attempt {
            number,
            epoch,
            started_at,
            duration_ms: 7,
            method: "POST".into(),
            url: "https://example.com/hook".into(),
            request_headers: vec![("webhook-id".into(), "dlv_1".into())],
            status: Some(500),
            response_headers: vec![],
            response_body: b"\0\xff".to_vec(),
            failure: None,
        },
    }
}

#[tokio::test]
async fn deliveries_are_listed_by_every_filter_and_read_with_their_attempts() {
    each_database(async |store| {
        let dead = StateRecord {
            delivery: facts(2, 1000),
            status: DeliveryStatus::Dead,
            epoch: 1,
            attempts: 3,
            next_at: None,
            settled_at: Some(4000),
            failure: None,
            generation: 0,
            attempt: None,
        };
        let tx = store.write().await.unwrap();
        deliveries::insert_planned(&*tx, &[facts(1, 1000), facts(2, 1000), facts(1, 2000)])
            .await
            .unwrap();
        deliveries::raise(&*tx, &[dead]).await.unwrap();
        attempts::insert(&*tx, &[attempt(1, 2, 60), attempt(2, 1, 50), attempt(1, 1, 40)])
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let check = async |filter, expected: &[(Millis, i64)]| {
            let filter = DeliveryFilter {
                workspace: WORKSPACE.to_string(),
                ..filter
            };
            let rows = queries::deliveries::list(store.reader(), &filter, &newest(10))
                .await
                .unwrap();
            let found: Vec<_> = rows
                .iter()
                .map(|row| (row.accepted_at, row.origin_index))
                .collect();
            assert_eq!(found, expected, "{filter:?}");
        };
        let all = DeliveryFilter::default;
        check(all(), &[(2000, 1), (1000, 2), (1000, 1)]).await;
        check(
            DeliveryFilter {
                status: Some("dead".into()),
                ..all()
            },
            &[(1000, 2)],
        )
        .await;
        check(
            DeliveryFilter {
                event: Some(id(2000).to_string()),
                ..all()
            },
            &[(2000, 1)],
        )
        .await;
        let destination = Some(DestinationId::from_u128(2).to_string());
        check(DeliveryFilter { destination, ..all() }, &[(1000, 2)]).await;
        check(
            DeliveryFilter {
                source: Some(OTHER_SOURCE.to_string()),
                ..all()
            },
            &[],
        )
        .await;
        let span = Span {
            since: None,
            until: Some(2000),
        };
        check(DeliveryFilter { span, ..all() }, &[(1000, 2), (1000, 1)]).await;
        let of_event = queries::deliveries::of_event(store.reader(), id(1000))
            .await
            .unwrap();
        let lane = of_event[0].lane.clone();
        assert_eq!(of_event.len(), 2);
        check(
            DeliveryFilter {
                lane: Some(lane),
                ..all()
            },
            &[(2000, 1), (1000, 1)],
        )
        .await;
        let made = queries::deliveries::attempts_of(store.reader(), facts(1, 1000).id)
            .await
            .unwrap();
        assert_eq!(
            made.iter().map(|attempt| attempt.started_at).collect::<Vec<_>>(),
            [40, 50, 60]
        );
        assert_eq!(made[0].response_body, b"\0\xff");
        let other = OTHER_WORKSPACE.to_string();
        let elsewhere = queries::deliveries::find(store.reader(), &other, facts(1, 1000).id).await;
        assert_eq!(elsewhere.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_dead_delivery_comes_back_as_it_was_one_generation_on() {
    each_database(async |store| {
        for key in [None, Some("k"), Some("a\0b"), Some("a\\u0000b")] {
            let mut facts = facts(7, 1000);
            facts.lane_key = key.map(str::to_owned);
            facts.fetcher = Some(FetcherId::from_u128(9));
            facts.id = DeliveryId::from_parts(1000, u128::from(key.map_or(0, str::len) as u64 + 70));
            let dead = Delivery {
                id: facts.id,
                event: facts.event,
                event_type: facts.event_type.clone(),
                workspace: facts.workspace,
                source: facts.source,
                destination: facts.destination,
                route: facts.route,
                entity: facts.entity.clone(),
                lane_key: facts.lane_key.clone(),
                origin: facts.origin,
                revision: 42,
                accepted_at: facts.accepted_at,
                content_type: Some("application/json".into()),
                headers: vec![("ce-id".into(), "evt_1".into())],
                body: Body::inline(&b"{}\0\xff"[..]),
                traceparent: "00-a-b-01".into(),
                replay: None,
                reply: None,
                generation: 3,
                attempts_before: 0,
                was_held: false,
                fetcher: Some(FetcherId::from_u128(9)),
            };
            let state = StateRecord {
                delivery: facts.clone(),
                status: DeliveryStatus::Dead,
                epoch: 9,
                attempts: 19,
                next_at: None,
                settled_at: Some(2000),
                failure: None,
                generation: 3,
                attempt: None,
            };
            let tx = store.write().await.unwrap();
            deliveries::raise(&*tx, &[state]).await.unwrap();
            let row = queries::deliveries::find(&*tx, &facts.workspace.to_string(), facts.id)
                .await
                .unwrap()
                .unwrap();
            let none = queries::dead_letters::once_more(&*tx, &row).await.unwrap();
            assert_eq!(none, None, "without its body there is nothing to send");
            dead_letters::insert(&*tx, &[(&dead, 2000)]).await.unwrap();
            let again = queries::dead_letters::once_more(&*tx, &row).await.unwrap();
            tx.commit().await.unwrap();
            let expected = Delivery {
                generation: 4,
                attempts_before: 19,
                ..dead
            };
            assert_eq!(again, Some(expected), "{key:?}");
        }
    })
    .await;
}
