//! Replays, dead letters and internal events, by the same tests on SQLite and PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests")]

mod databases;

use databases::{each_database, written};
use hookrail_domain::{
    delivery::{Delivery, DeliveryStatus, ErrorCode, Failure},
    event::{Body, Event, EventStatus, Origin},
    ids::{DeliveryId, DestinationId, EventId, Id, ReplayId, SourceId, WorkspaceId},
    internal_event,
    journal::{DeliveryFacts, StateRecord},
    replay::ReplayRequest,
};
use hookrail_store::{
    IdPage, Store, dead_letters, deliveries,
    events::{self, EventChange, EventWrite},
    internal_events,
    queries::selections::Selection,
    replay_items::{self, ReplayItem},
    replays::{self, NewReplay, Progress, Selected},
};

const WORKSPACE: WorkspaceId = WorkspaceId::from_u128(1);
const REPLAY: ReplayId = ReplayId::from_u128(77);

fn delivery(number: u64, destination: u128) -> Delivery {
    Delivery {
        id: DeliveryId::from_parts(1_000, u128::from(number)),
        event: EventId::from_u128(3),
        event_type: "entity.created".into(),
        workspace: WORKSPACE,
        source: Some(SourceId::from_u128(7)),
        destination: DestinationId::from_u128(destination),
        route: None,
        entity: None,
        lane_key: Some("customer:42".into()),
        origin: Origin {
            partition: 1,
            sequence: 100 - number,
            index: 0,
        },
        revision: 1,
        accepted_at: 1_000,
        content_type: None,
        headers: Vec::new(),
        body: Body::inline(*b"{}"),
        traceparent: String::new(),
        replay: None,
        reply: None,
        generation: 0,
        attempts_before: 0,
        was_held: false,
        fetcher: None,
    }
}

fn state(delivery: &Delivery, status: DeliveryStatus) -> StateRecord {
    StateRecord {
        delivery: DeliveryFacts::from(delivery),
        status,
        epoch: 1,
        attempts: 2,
        next_at: None,
        settled_at: Some(2_000),
        failure: Some(Failure {
            code: ErrorCode::Status,
            detail: "500".into(),
        }),
        generation: 0,
        attempt: None,
    }
}

async fn stored(store: &Store, all: &[(Delivery, DeliveryStatus)]) {
    let records: Vec<StateRecord> = all
        .iter()
        .map(|(delivery, status)| state(delivery, *status))
        .collect();
    let dead: Vec<_> = all
        .iter()
        .filter(|(_, status)| *status == DeliveryStatus::Dead)
        .map(|(delivery, _)| (delivery, 2_000 + delivery.id.as_u128() as i64 % 1_000))
        .collect();
    written!(store, tx => deliveries::raise(&*tx, &records));
    written!(store, tx => dead_letters::insert(&*tx, &dead));
}

async fn selected(store: &Store, request: &str) -> Vec<String> {
    let request: ReplayRequest = serde_json::from_str(request).unwrap();
    let selection = Selection::of(&WORKSPACE.to_string(), &request);
    let items = selection.items(store.reader(), None, 100).await.unwrap();
    let count = selection.count(store.reader()).await.unwrap();
    assert_eq!(items.len() as i64, count);
    items.into_iter().map(|item| item.item).collect()
}

#[tokio::test]
async fn what_a_filter_says_is_selected_and_what_was_sent_again_is_not() {
    each_database(|store| async move {
        let all: Vec<(Delivery, DeliveryStatus)> = [
            (1, DeliveryStatus::Dead),
            (2, DeliveryStatus::Dead),
            (3, DeliveryStatus::Delivered),
            (4, DeliveryStatus::Pending),
        ]
        .map(|(number, status)| (delivery(number, 5), status))
        .to_vec();
        stored(&store, &all).await;
        let id = |number: usize| all[number - 1].0.id.to_string();
        assert_eq!(
            selected(&store, r#"{"what": "deliveries"}"#).await,
            [id(1), id(2)]
        );
        let delivered = r#"{"what": "deliveries", "filter": {"status": "delivered"}}"#;
        assert_eq!(selected(&store, delivered).await, [id(3)]);
        let named = format!(r#"{{"what": "deliveries", "ids": ["{}", "{}"]}}"#, id(3), id(4));
        assert_eq!(
            selected(&store, &named).await,
            [id(3)],
            "what has not ended is on its way"
        );
        let other = r#"{"what": "deliveries", "filter": {"error_code": "dns"}}"#;
        assert!(selected(&store, other).await.is_empty());
        let pair = (all[0].0.id, DeliveryId::from_u128(99));
        written!(store, tx => deliveries::mark_replayed(&*tx, REPLAY, &[pair]));
        assert_eq!(selected(&store, r#"{"what": "deliveries"}"#).await, [id(2)]);
        let again = r#"{"what": "deliveries", "filter": {"replayed": true}}"#;
        assert_eq!(selected(&store, again).await, [id(1)]);
    })
    .await;
}

fn item(partition: u32, sequence: u64) -> ReplayItem {
    ReplayItem {
        item: format!("dlv_{partition}_{sequence}"),
        origin: Origin {
            partition,
            sequence,
            index: 0,
        },
        accepted_at: 1_000,
    }
}

#[tokio::test]
async fn items_come_in_the_order_of_acceptance_until_they_are_removed() {
    each_database(|store| async move {
        let items = [item(3, 20), item(3, 9), item(0, 5), item(3, 100)];
        written!(store, tx => replay_items::insert(&*tx, REPLAY, &items));
        written!(store, tx => replay_items::insert(&*tx, REPLAY, &items));
        assert_eq!(
            replay_items::partitions(store.reader(), REPLAY).await.unwrap(),
            [0, 3]
        );
        let first = replay_items::first(store.reader(), REPLAY, 3, None, 2)
            .await
            .unwrap();
        assert_eq!(first, [item(3, 9), item(3, 20)]);
        let next = replay_items::first(store.reader(), REPLAY, 3, first.last(), 2)
            .await
            .unwrap();
        assert_eq!(next, [item(3, 100)]);
        written!(store, tx => replay_items::delete(&*tx, REPLAY, &first));
        let left = replay_items::first(store.reader(), REPLAY, 3, None, 9)
            .await
            .unwrap();
        assert_eq!(left, [item(3, 100)]);
        assert_eq!(written!(store, tx => replay_items::sweep(&*tx, REPLAY, 10)), 2);
        assert!(
            replay_items::partitions(store.reader(), REPLAY)
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn only_the_newest_owner_moves_a_replay_on_and_a_cancelled_one_stays_so() {
    each_database(|store| async move {
        let workspace = WORKSPACE.to_string();
        let new = NewReplay {
            id: REPLAY,
            workspace: &workspace,
            what: "deliveries",
            selection: r#"{"what": "deliveries"}"#,
            shard: 2,
            at: 10,
        };
        written!(store, tx => replays::insert(&*tx, &new.row()));
        assert!(written!(store, tx => replays::take(&*tx, REPLAY, 5, 20)));
        assert!(
            written!(store, tx => replays::take(&*tx, REPLAY, 5, 20)),
            "its owner again"
        );
        assert!(
            !written!(store, tx => replays::take(&*tx, REPLAY, 4, 20)),
            "an older one"
        );
        assert!(written!(store, tx => replays::take(&*tx, REPLAY, 8, 30)));
        let step = Selected {
            to: Some("dlv_x"),
            added: 3,
            all: true,
        };
        assert!(!written!(store, tx => replays::select(&*tx, REPLAY, 5, &step)));
        assert!(written!(store, tx => replays::select(&*tx, REPLAY, 8, &step)));
        let progress = Progress {
            replayed: 2,
            skipped: 1,
            reasons: r#"{"body_gone":1}"#,
        };
        assert!(!written!(store, tx => replays::advance(&*tx, REPLAY, 5, &progress)));
        assert!(written!(store, tx => replays::cancel(&*tx, &workspace, REPLAY, 40)));
        assert!(
            written!(store, tx => replays::advance(&*tx, REPLAY, 8, &progress)),
            "what was sent counts"
        );
        assert!(!written!(store, tx => replays::finish(&*tx, REPLAY, 8, None, 50)));
        assert!(!written!(store, tx => replays::cancel(&*tx, &workspace, REPLAY, 60)));
        let row = replays::find(store.reader(), &workspace, REPLAY)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (row.status.as_str(), row.total, row.replayed, row.skipped),
            ("cancelled", Some(3), 2, 1)
        );
        assert_eq!((row.started_at, row.finished_at), (Some(20), Some(40)));
        assert_eq!(
            replays::open(store.reader(), 2, 9).await.unwrap().len(),
            1,
            "it is still to be swept"
        );
        written!(store, tx => replays::swept(&*tx, REPLAY));
        assert!(replays::open(store.reader(), 2, 9).await.unwrap().is_empty());
        let page = IdPage {
            limit: 9,
            after: None,
            newest_first: true,
        };
        assert_eq!(
            replays::list(store.reader(), &workspace, &page).await.unwrap(),
            [replays::find(store.reader(), &workspace, REPLAY)
                .await
                .unwrap()
                .unwrap()]
        );
    })
    .await;
}

#[tokio::test]
async fn dead_letters_go_oldest_first_in_steps_and_by_destination() {
    each_database(|store| async move {
        let all: Vec<(Delivery, DeliveryStatus)> = (1..=4)
            .map(|number| (delivery(number, 5 + u128::from(number % 2)), DeliveryStatus::Dead))
            .collect();
        stored(&store, &all).await;
        let first = dead_letters::next_destination(store.reader(), None)
            .await
            .unwrap();
        assert_eq!(first, Some(DestinationId::from_u128(5)));
        let second = dead_letters::next_destination(store.reader(), first)
            .await
            .unwrap();
        assert_eq!(second, Some(DestinationId::from_u128(6)));
        assert_eq!(
            dead_letters::next_destination(store.reader(), second)
                .await
                .unwrap(),
            None
        );
        let five = DestinationId::from_u128(5);
        assert_eq!(written!(store, tx => dead_letters::trim(&*tx, five, 2_002, 9)), 0);
        assert_eq!(written!(store, tx => dead_letters::trim(&*tx, five, 9_000, 1)), 1);
        let ids: Vec<DeliveryId> = all.iter().map(|(delivery, _)| delivery.id).collect();
        let left = dead_letters::sizes(store.reader(), &ids).await.unwrap();
        assert_eq!(left.len(), 3);
        assert!(!left.contains_key(&ids[1]), "2 died before 4");
        assert_eq!(dead_letters::load(store.reader(), &ids).await.unwrap().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn an_internal_event_is_kept_once_until_the_log_has_it() {
    each_database(|store| async move {
        let dead = state(&delivery(1, 5), DeliveryStatus::Dead);
        let event = internal_event::delivery_dead(&dead, Some("crm"), 4);
        written!(store, tx => internal_events::insert(&*tx, std::slice::from_ref(&event)));
        written!(store, tx => internal_events::insert(&*tx, std::slice::from_ref(&event)));
        let waiting = internal_events::oldest(store.reader(), None, 9).await.unwrap();
        assert_eq!(waiting.len(), 1);
        assert_eq!((&waiting[0].data, waiting[0].id), (&event.data, event.id));
        written!(store, tx => internal_events::delete(&*tx, &[event.id]));
        assert!(
            internal_events::oldest(store.reader(), None, 9)
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn an_event_is_mended_only_where_it_is_what_it_was() {
    each_database(|store| async move {
        let event = Event {
            id: EventId::from_parts(5_000, 1),
            workspace: WORKSPACE,
            source: Some(SourceId::from_u128(7)),
            event_type: "webhook.received".into(),
            revision: 1,
            accepted_at: 5_000,
            method: "POST".into(),
            query: vec![],
            headers: vec![],
            content_type: None,
            body: Body::inline(*b"{}"),
            remote_addr: None,
            credential: None,
            ordering_key: None,
            dedupe_key: None,
            idempotency_key: None,
            current_context: None,
            traceparent: String::new(),
            reply: None,
            internal: false,
        };
        let write = EventWrite {
            event: &event,
            partition: 0,
            sequence: 1,
            status: EventStatus::Failed,
            error: Some(("mapping.unresolved", "unique_id: $.id")),
            duplicate_of: None,
            processed_at: 6_000,
        };
        written!(store, tx => events::insert(&*tx, &[write]));
        let change = EventChange {
            event: event.id,
            before: "failed",
            status: EventStatus::Processed,
            error: None,
            processed_at: 7_000,
        };
        assert!(written!(store, tx => events::change(&*tx, &change)));
        assert!(!written!(store, tx => events::change(&*tx, &change)));
        let rows = events::load(store.reader(), &[event.id]).await.unwrap();
        assert_eq!(
            (rows[0].status.as_str(), &rows[0].error_code),
            ("processed", &None)
        );
    })
    .await;
}
