//! Lists of entities, and one.

use hookrail_domain::Millis;
use hookrail_store::{
    Store,
    entities::{self, EntityKey, EntityRow, EntityVersion, EntityWrite},
    queries::{
        self,
        entities::{EntityFilter, EntityPage},
    },
};

use crate::databases::each_database;
use crate::samples::{OTHER_WORKSPACE, SOURCE, WORKSPACE, id};

pub(crate) fn entity(unique_id: &str, title: &str, fields: &str, at: Millis) -> EntityWrite {
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
        first_seen_at: at,
        at,
        event: id(at),
        deleted_at: None,
        versions: 0,
        before: None,
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

fn filter(filter: EntityFilter) -> EntityFilter {
    EntityFilter {
        workspace: WORKSPACE.to_string(),
        ..filter
    }
}

fn text(text: &str) -> EntityFilter {
    filter(EntityFilter {
        text: Some(text.into()),
        ..EntityFilter::default()
    })
}

fn field(name: &str, value: &str) -> EntityFilter {
    filter(EntityFilter {
        fields: vec![(name.into(), value.into())],
        ..EntityFilter::default()
    })
}

fn newest(limit: usize) -> EntityPage {
    EntityPage {
        limit,
        after: None,
        newest_first: true,
        looked_at: 1_000,
    }
}

fn ids(rows: &[EntityRow]) -> Vec<String> {
    rows.iter().map(|row| row.unique_id.clone()).collect()
}

async fn found(store: &Store, wanted: &EntityFilter) -> Vec<String> {
    let list = queries::entities::list(store.reader(), wanted, &newest(10))
        .await
        .unwrap();
    assert_eq!(list.next, None);
    ids(&list.rows)
}

/// All that is found, page by page.
async fn all_pages(store: &Store, wanted: &EntityFilter, limit: usize, newest_first: bool) -> Vec<String> {
    let mut page = EntityPage {
        newest_first,
        ..newest(limit)
    };
    let mut all = Vec::new();
    for _ in 0..100 {
        let list = queries::entities::list(store.reader(), wanted, &page)
            .await
            .unwrap();
        assert!(list.rows.len() <= limit);
        all.extend(ids(&list.rows));
        match list.next {
            Some(next) => page.after = Some(next),
            None => return all,
        }
    }
    panic!("the list does not end");
}

#[tokio::test]
async fn entities_are_found_by_id_by_words_and_by_exact_fields() {
    each_database(async |store| {
        with_entities(&store).await;
        let check = async |wanted: EntityFilter, expected: &[&str]| {
            assert_eq!(found(&store, &wanted).await, expected, "{wanted:?}");
        };
        check(filter(EntityFilter::default()), &["c", "b", "a"]).await;
        let of_type = |name: &str| EntityFilter {
            entity_type: Some(name.into()),
            ..EntityFilter::default()
        };
        check(filter(of_type("customer")), &["c", "b", "a"]).await;
        check(filter(of_type("order")), &[]).await;
        for (q, expected) in [
            ("bOB", vec!["b"]),
            ("100 ann", vec!["a"]),
            ("100%", vec!["a"]),
            ("bonn", vec!["b", "a"]),
            ("bonn ANN", vec!["a"]),
            ("c", vec!["c"]),
            ("9007199254740993", vec!["b"]),
            ("%", vec![]),
            ("an", vec![]),
            ("a\0b'%", vec![]),
        ] {
            check(text(q), &expected).await;
            check(
                EntityFilter {
                    entity_type: Some("customer".into()),
                    ..text(q)
                },
                &expected,
            )
            .await;
            check(
                EntityFilter {
                    entity_type: Some("order".into()),
                    ..text(q)
                },
                &[],
            )
            .await;
            check(
                EntityFilter {
                    workspace: OTHER_WORKSPACE.to_string(),
                    ..text(q)
                },
                &[],
            )
            .await;
        }
        check(field("city", "Bonn"), &["b", "a"]).await;
        check(field("n", "9007199254740993"), &["b"]).await;
        check(field("n", "9007199254740992"), &[]).await;
        check(field("city", "bonn"), &[]).await;
        check(
            EntityFilter {
                text: Some("bob".into()),
                ..field("city", "Bonn")
            },
            &["b"],
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn pages_follow_each_other_whatever_happens_to_the_entities_meanwhile() {
    each_database(async |store| {
        let many: Vec<EntityWrite> = (1..=25)
            .map(|n| entity(&format!("{n:02}"), "Ann", r#"{"city":"Bonn"}"#, 1000 + n / 3))
            .collect();
        let tx = store.write().await.unwrap();
        entities::upsert(&*tx, many.clone()).await.unwrap();
        tx.commit().await.unwrap();
        let of_type = EntityFilter {
            entity_type: Some("customer".into()),
            ..filter(EntityFilter::default())
        };
        for wanted in [
            filter(EntityFilter::default()),
            of_type,
            text("ann bonn"),
            field("city", "Bonn"),
        ] {
            for newest_first in [true, false] {
                let mut expected: Vec<String> = (1..=25).map(|n| format!("{n:02}")).collect();
                if newest_first {
                    expected.reverse();
                }
                assert_eq!(all_pages(&store, &wanted, 4, newest_first).await, expected);
            }
            let first = queries::entities::list(store.reader(), &wanted, &newest(5))
                .await
                .unwrap();
            // One of the first page and one of the next change, and nothing moves.
            let tx = store.write().await.unwrap();
            for n in [24, 18] {
                let stored = &many[n - 1];
                let newer = EntityWrite {
                    version: EntityVersion {
                        sequence: stored.version.sequence + 10_000,
                        ..stored.version
                    },
                    at: 9000,
                    ..stored.clone()
                };
                entities::upsert(&*tx, vec![newer]).await.unwrap();
            }
            tx.commit().await.unwrap();
            let page = EntityPage {
                after: first.next,
                ..newest(5)
            };
            let second = queries::entities::list(store.reader(), &wanted, &page)
                .await
                .unwrap();
            assert_eq!(ids(&second.rows), ["20", "19", "18", "17", "16"]);
        }
    })
    .await;
}

#[tokio::test]
async fn the_one_entity_with_two_common_words_is_found_though_pages_before_it_are_cut_short() {
    each_database(async |store| {
        let titled = |n: i64| match n {
            7 => "red and round",
            n if n % 2 == 0 => "red",
            _ => "round",
        };
        let many = (1..=5_000)
            .map(|n| entity(&n.to_string(), titled(n), "{}", n))
            .collect();
        let tx = store.write().await.unwrap();
        entities::upsert(&*tx, many).await.unwrap();
        tx.commit().await.unwrap();
        let first = queries::entities::list(store.reader(), &text("round red"), &newest(50))
            .await
            .unwrap();
        assert!(first.rows.is_empty() && first.next.is_some(), "{first:?}");
        for newest_first in [true, false] {
            assert_eq!(
                all_pages(&store, &text("round red"), 50, newest_first).await,
                ["7"]
            );
        }
        assert_eq!(all_pages(&store, &text("red"), 200, true).await.len(), 2_501);
    })
    .await;
}
