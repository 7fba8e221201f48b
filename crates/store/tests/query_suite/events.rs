//! Lists of events, and one.

use hookrail_domain::{
    Millis,
    event::{Event, EventStatus},
    ids::WorkspaceId,
};
use hookrail_store::{
    IdPage, Store,
    entities::{self, EntityKey, EntityWrite},
    event_entities::{self, EventEntity},
    events::{self, EventWrite},
    queries::{self, Span, events::EventFilter},
};

use crate::databases::each_database;
use crate::entities::entity;
use crate::samples::{OTHER_SOURCE, OTHER_WORKSPACE, SOURCE, WORKSPACE, event, id, newest};

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

/// When the events were accepted that are found by `text`, page by page.
async fn searched(store: &Store, text: &str, filter: EventFilter) -> Vec<Millis> {
    let filter = EventFilter {
        workspace: WORKSPACE.to_string(),
        ..filter
    };
    let (mut page, mut all) = (newest(1), Vec::new());
    for _ in 0..400 {
        let list = queries::event_search::search(store.reader(), &filter, text, &page)
            .await
            .unwrap();
        all.extend(list.rows.iter().map(|row| row.accepted_at));
        match list.next {
            Some(next) => page.after = Some(next),
            None => return all,
        }
    }
    panic!("the list does not end");
}

#[tokio::test]
async fn events_are_found_by_their_id_and_type_and_by_what_their_entities_have() {
    each_database(async |store| {
        with_events(&store).await;
        let mut posted = event(2500, WORKSPACE, SOURCE);
        posted.event_type = "order.paid".into();
        let write = EventWrite {
            event: &posted,
            partition: 0,
            sequence: 2500,
            status: EventStatus::Processed,
            error: None,
            duplicate_of: None,
            processed_at: 9000,
        };
        let about = |at, id: &str| EventEntity {
            event: crate::samples::id(at),
            entity: EntityKey::new(WORKSPACE, "customer", id),
            change: "updated",
        };
        let tx = store.write().await.unwrap();
        events::insert(&*tx, &[write]).await.unwrap();
        event_entities::insert(&*tx, &[about(3000, "42"), about(4000, "43")])
            .await
            .unwrap();
        let stored = vec![
            entity("42", "Ann Marie", r#"{"city":"Bonn"}"#, 2000),
            EntityWrite {
                deleted_at: Some(4000),
                ..entity("43", "Ann", "{}", 4000)
            },
        ];
        entities::upsert(&*tx, stored).await.unwrap();
        tx.commit().await.unwrap();
        let all = EventFilter::default;
        for (text, expected) in [
            ("42", vec![3000, 2000]),
            ("customer", vec![3000, 2000]),
            ("marie ANN", vec![3000, 2000]),
            ("bonn", vec![3000, 2000]),
            ("43", vec![4000]),
            ("order.paid", vec![2500]),
            ("webhook.received", vec![4000, 3000, 2000, 1000]),
            ("bob", vec![]),
            ("a\0b'%", vec![]),
        ] {
            assert_eq!(searched(&store, text, all()).await, expected, "{text}");
        }
        assert_eq!(searched(&store, &id(2000).to_string(), all()).await, [2000]);
        assert_eq!(searched(&store, &id(5000).to_string(), all()).await, [0; 0]);
        let filtered = || EventFilter {
            status: Some("filtered".into()),
            ..all()
        };
        assert_eq!(searched(&store, "42", filtered()).await, [3000]);
        assert_eq!(searched(&store, &id(2000).to_string(), filtered()).await, [0; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_common_word_finds_the_newest_events_about_entities_that_have_it() {
    each_database(async |store| {
        let stored: Vec<_> = (1..=300).map(|n| event(n * 10, WORKSPACE, SOURCE)).collect();
        let writes: Vec<_> = stored
            .iter()
            .map(|event| EventWrite {
                event,
                partition: 0,
                sequence: event.accepted_at.unsigned_abs(),
                status: EventStatus::Processed,
                error: None,
                duplicate_of: None,
                processed_at: 9000,
            })
            .collect();
        let about: Vec<_> = (1..=300)
            .map(|n| EventEntity {
                event: id(n * 10),
                entity: EntityKey::new(WORKSPACE, "customer", &n.to_string()),
                change: "created",
            })
            .collect();
        let titled = |n: Millis| if n % 2 == 0 { "Ann" } else { "Bob" };
        let tx = store.write().await.unwrap();
        events::insert(&*tx, &writes).await.unwrap();
        event_entities::insert(&*tx, &about).await.unwrap();
        let all = (1..=300)
            .map(|n| entity(&n.to_string(), titled(n), "{}", n))
            .collect();
        entities::upsert(&*tx, all).await.unwrap();
        tx.commit().await.unwrap();
        let found = searched(&store, "ann", EventFilter::default()).await;
        let expected: Vec<Millis> = (1..=150).rev().map(|n| n * 20).collect();
        assert_eq!(found, expected);
    })
    .await;
}
