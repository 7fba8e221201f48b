//! What people look for, by the same tests on SQLite and PostgreSQL.

mod databases;

use std::collections::BTreeMap;

use databases::each_database;
use hookrail_domain::{
    Millis,
    delivery::{Attempt, DeliveryStatus},
    event::{Body, Event, EventStatus, Origin},
    ids::{DeliveryId, DestinationId, EventId, Id, SourceId, WorkspaceId},
    journal::{AttemptRecord, DeliveryFacts, StateRecord},
};
use hookrail_store::{
    IdPage, Store, attempts, deliveries,
    entities::{self, EntityKey, EntityVersion, EntityWrite},
    event_entities::{self, EventEntity},
    events::{self, EventWrite},
    partition_progress,
    queries::{
        self, Span,
        deliveries::DeliveryFilter,
        entities::{EntityFilter, EntityPage, EntityPlace},
        events::EventFilter,
    },
    source_counters::{self, Counts},
};

const SOURCE: SourceId = SourceId::from_u128(7);
const OTHER_SOURCE: SourceId = SourceId::from_u128(8);
const WORKSPACE: WorkspaceId = WorkspaceId::from_u128(1);
const OTHER_WORKSPACE: WorkspaceId = WorkspaceId::from_u128(2);

fn id(at: Millis) -> EventId {
    EventId::from_parts(at, 5)
}

fn event(at: Millis, workspace: WorkspaceId, source: SourceId) -> Event {
    Event {
        id: id(at),
        workspace,
        source: Some(source),
        event_type: "webhook.received".into(),
        revision: 4,
        accepted_at: at,
        method: "POST".into(),
        query: vec![],
        headers: vec![],
        content_type: Some("application/json".into()),
        body: Body::inline(&b"{}"[..]),
        remote_addr: None,
        credential: None,
        ordering_key: None,
        dedupe_key: None,
        idempotency_key: None,
        current_context: None,
        traceparent: "00-aaaa-bb-01".into(),
        reply: None,
        internal: false,
    }
}

/// Events at 1000, 2000 and 3000 of the source, one of another source at 4000, and one of another
/// workspace at 5000. The one at 2000 is about customer 42, filtered are those from 3000 on.
async fn with_events(store: &Store) {
    let of = |at| match at {
        4000 => event(at, WORKSPACE, OTHER_SOURCE),
        5000 => event(at, OTHER_WORKSPACE, SOURCE),
        at => event(at, WORKSPACE, SOURCE),
    };
    let stored: Vec<Event> = (1..=5).map(|n| of(n * 1000)).collect();
    let writes: Vec<_> = stored
        .iter()
        .map(|event| EventWrite {
            event,
            partition: 0,
            sequence: event.accepted_at.unsigned_abs(),
            status: if event.accepted_at < 3000 {
                EventStatus::Processed
            } else {
                EventStatus::Filtered
            },
            error: None,
            duplicate_of: None,
            processed_at: 9000,
        })
        .collect();
    let about = EventEntity {
        event: id(2000),
        entity: EntityKey::new(WORKSPACE, "customer", "42"),
        change: "created",
    };
    let tx = store.write().await.unwrap();
    events::insert(&*tx, &writes).await.unwrap();
    event_entities::insert(&*tx, &[about]).await.unwrap();
    tx.commit().await.unwrap();
}

fn newest(limit: u64) -> IdPage {
    IdPage {
        limit,
        after: None,
        newest_first: true,
    }
}

/// When the events were accepted that a filter finds.
async fn found(store: &Store, filter: EventFilter, page: IdPage) -> Vec<Millis> {
    let filter = EventFilter {
        workspace: WORKSPACE.to_string(),
        ..filter
    };
    let rows = queries::events::list(store.reader(), &filter, &page)
        .await
        .unwrap();
    rows.iter().map(|row| row.accepted_at).collect()
}

#[tokio::test]
async fn events_are_listed_by_every_filter_within_their_workspace() {
    each_database(async |store| {
        with_events(&store).await;
        let check =
            async |filter, expected: &[Millis]| assert_eq!(found(&store, filter, newest(10)).await, expected);
        check(EventFilter::default(), &[4000, 3000, 2000, 1000]).await;
        let of_source = EventFilter {
            source: Some(SOURCE.to_string()),
            ..EventFilter::default()
        };
        check(of_source, &[3000, 2000, 1000]).await;
        check(
            EventFilter {
                status: Some("filtered".into()),
                ..EventFilter::default()
            },
            &[4000, 3000],
        )
        .await;
        let span = Span {
            since: Some(2000),
            until: Some(4000),
        };
        check(
            EventFilter {
                span,
                ..EventFilter::default()
            },
            &[3000, 2000],
        )
        .await;
        let entity = Some(("customer".to_owned(), "42".to_owned()));
        check(
            EventFilter {
                entity,
                ..EventFilter::default()
            },
            &[2000],
        )
        .await;
        for text in ["42", "customer", &id(2000).to_string()] {
            check(
                EventFilter {
                    text: Some(text.to_owned()),
                    ..EventFilter::default()
                },
                &[2000],
            )
            .await;
        }
        check(
            EventFilter {
                text: Some("a\0b'%".to_owned()),
                ..EventFilter::default()
            },
            &[],
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn pages_of_events_follow_each_other_in_both_directions() {
    each_database(async |store| {
        with_events(&store).await;
        let page = |newest_first, after: Option<Millis>| IdPage {
            limit: 2,
            after: after.map(|at| id(at).to_string()),
            newest_first,
        };
        let check = async |page, expected: &[Millis]| {
            assert_eq!(found(&store, EventFilter::default(), page).await, expected);
        };
        check(page(true, None), &[4000, 3000]).await;
        check(page(true, Some(3000)), &[2000, 1000]).await;
        check(page(false, None), &[1000, 2000]).await;
        check(page(false, Some(2000)), &[3000, 4000]).await;
    })
    .await;
}

#[tokio::test]
async fn one_event_is_found_in_its_workspace_only_with_its_entities() {
    each_database(async |store| {
        with_events(&store).await;
        let find = async |workspace: WorkspaceId, at| {
            queries::events::find(store.reader(), &workspace.to_string(), id(at))
                .await
                .unwrap()
        };
        assert_eq!(find(WORKSPACE, 2000).await.map(|row| row.sequence), Some(2000));
        assert_eq!(find(OTHER_WORKSPACE, 2000).await, None);
        let about = queries::events::entities_of(store.reader(), id(2000))
            .await
            .unwrap();
        assert_eq!((about.len(), about[0].unique_id.as_str()), (1, "42"));
        let last = queries::events::newest_of_source(store.reader(), OTHER_SOURCE)
            .await
            .unwrap();
        assert_eq!(last.map(|row| row.accepted_at), Some(4000));
    })
    .await;
}

fn entity(unique_id: &str, title: &str, fields: &str, at: Millis) -> EntityWrite {
    EntityWrite {
        key: EntityKey::new(WORKSPACE, "customer", unique_id),
        source: Some(SOURCE),
        title: Some(title.into()),
        fields: fields.into(),
        data: r#"{"n":9007199254740993}"#.into(),
        version: EntityVersion {
            partition: 0,
            sequence: at.unsigned_abs(),
            at,
        },
        at,
        event: id(at),
    }
}

async fn with_entities(store: &Store) {
    let tx = store.write().await.unwrap();
    let writes = vec![
        entity("a", "Ann 100%", r#"{"city":"Bonn","n":1}"#, 1000),
        entity("b", "Bob", r#"{"city":"Bonn","n":9007199254740993}"#, 2000),
        entity("c", "Cid", r#"{"address":{"city":"Bonn"},"city":"Oslo"}"#, 2000),
    ];
    entities::upsert(&*tx, writes).await.unwrap();
    tx.commit().await.unwrap();
}

async fn entities_found(store: &Store, filter: EntityFilter, page: EntityPage) -> Vec<String> {
    let filter = EntityFilter {
        workspace: WORKSPACE.to_string(),
        ..filter
    };
    let rows = queries::entities::list(store.reader(), &filter, &page)
        .await
        .unwrap();
    rows.into_iter().map(|row| row.unique_id).collect()
}

#[tokio::test]
async fn entities_are_found_by_title_id_and_exact_fields() {
    each_database(async |store| {
        with_entities(&store).await;
        let page = || EntityPage {
            limit: 10,
            after: None,
            newest_first: true,
        };
        let check = async |filter, expected: &[&str]| {
            assert_eq!(entities_found(&store, filter, page()).await, expected)
        };
        check(EntityFilter::default(), &["c", "b", "a"]).await;
        check(
            EntityFilter {
                entity_type: Some("order".into()),
                ..EntityFilter::default()
            },
            &[],
        )
        .await;
        let text = |text: &str| EntityFilter {
            text: Some(text.into()),
            ..EntityFilter::default()
        };
        check(text("bOB"), &["b"]).await;
        check(text("0%"), &["a"]).await;
        check(text("%"), &["a"]).await;
        check(text("c"), &["c"]).await;
        let field = |name: &str, value: &str| EntityFilter {
            fields: vec![(name.into(), value.into())],
            ..EntityFilter::default()
        };
        check(field("city", "Bonn"), &["b", "a"]).await;
        check(field("n", "9007199254740993"), &["b"]).await;
        check(field("n", "9007199254740992"), &[]).await;
        check(field("city", "bonn"), &[]).await;
    })
    .await;
}

#[tokio::test]
async fn pages_of_entities_follow_each_other_though_some_rows_only_look_wanted() {
    each_database(async |store| {
        with_entities(&store).await;
        let filter = || EntityFilter {
            fields: vec![("city".into(), "Bonn".into())],
            ..EntityFilter::default()
        };
        let page = |after| EntityPage {
            limit: 1,
            after,
            newest_first: true,
        };
        assert_eq!(entities_found(&store, filter(), page(None)).await, ["b"]);
        let after = EntityPlace {
            first_seen_at: 2000,
            entity_type: "customer".into(),
            unique_id: "b".into(),
        };
        assert_eq!(entities_found(&store, filter(), page(Some(after))).await, ["a"]);
    })
    .await;
}

#[tokio::test]
async fn an_entity_is_read_exactly_and_deleted_once() {
    each_database(async |store| {
        with_entities(&store).await;
        let workspace = WORKSPACE.to_string();
        let found = queries::entities::find(store.reader(), &workspace, "customer", "a")
            .await
            .unwrap();
        assert_eq!(found.unwrap().data, r#"{"n":9007199254740993}"#);
        for expected in [true, false] {
            let tx = store.write().await.unwrap();
            let deleted = queries::entities::delete(&*tx, &workspace, "customer", "a")
                .await
                .unwrap();
            tx.commit().await.unwrap();
            assert_eq!(deleted, expected);
        }
        let other =
            queries::entities::find(store.reader(), &OTHER_WORKSPACE.to_string(), "customer", "b").await;
        assert_eq!(other.unwrap(), None);
    })
    .await;
}

fn facts(number: u32, at: Millis) -> DeliveryFacts {
    DeliveryFacts {
        id: DeliveryId::from_parts(at, u128::from(number)),
        event: id(at),
        event_type: "webhook.received".into(),
        workspace: WORKSPACE,
        source: Some(SOURCE),
        destination: DestinationId::from_u128(u128::from(number)),
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
        let elsewhere =
            queries::deliveries::find(store.reader(), &OTHER_WORKSPACE.to_string(), facts(1, 1000).id);
        assert_eq!(elsewhere.await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_sources_figures_come_with_the_sequences_that_they_count_up_to() {
    each_database(async |store| {
        let progress = async || {
            queries::source_status::progress(store.reader(), SOURCE)
                .await
                .unwrap()
        };
        assert_eq!(progress().await.committed_in(0), 0);
        for (partition, sequence) in [(0, 10), (3, 20)] {
            partition_progress::take_partition(&store, partition, 1)
                .await
                .unwrap();
            let tx = store.write().await.unwrap();
            assert!(
                partition_progress::advance(&*tx, partition, 1, sequence)
                    .await
                    .unwrap()
            );
            tx.commit().await.unwrap();
        }
        assert_eq!(progress().await.counts, Counts::default());
        let counts = Counts {
            processed: 4,
            filtered: 3,
            failed: 2,
            duplicate: 1,
            last_event_at: 99,
        };
        let tx = store.write().await.unwrap();
        source_counters::raise(&*tx, &BTreeMap::from([(SOURCE, counts)]))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let progress = progress().await;
        assert_eq!(progress.counts, counts);
        assert_eq!(
            (
                progress.committed_in(0),
                progress.committed_in(3),
                progress.committed_in(9)
            ),
            (10, 20, 0)
        );
    })
    .await;
}
