//! What goes with storing an entity: tombstones, versions, and the terms that find it.

use hookrail_domain::Millis;
use hookrail_store::{
    Store,
    entities::{self, EntityWrite},
    entity_terms,
    entity_versions::{self, VersionTrim, VersionWrite},
    queries::{
        self,
        entities::{EntityFilter, EntityPage},
        entity_versions::VersionPage,
    },
    sea_orm::ConnectionTrait,
};

use crate::databases::each_database;
use crate::entities::entity;
use crate::samples::{WORKSPACE, id};

async fn put(store: &Store, write: &EntityWrite) -> bool {
    let tx = store.write().await.unwrap();
    let taken = entities::upsert(&*tx, vec![write.clone()]).await.unwrap();
    tx.commit().await.unwrap();
    taken == 1
}

/// The write with what is stored now as what it replaces.
async fn over_stored(store: &Store, write: EntityWrite) -> EntityWrite {
    let stored = entities::load(store.reader(), std::slice::from_ref(&write.key))
        .await
        .unwrap();
    let before = stored.get(&write.key).map(|row| row.before());
    let lives = before.as_ref().filter(|before| !before.is_deleted);
    EntityWrite {
        first_seen_at: lives.map_or(write.first_seen_at, |before| before.first_seen_at),
        before,
        ..write
    }
}

async fn finds(store: &Store, text: Option<&str>) -> Vec<String> {
    let filter = EntityFilter {
        workspace: WORKSPACE.to_string(),
        text: text.map(str::to_owned),
        ..EntityFilter::default()
    };
    let page = EntityPage {
        limit: 10,
        after: None,
        newest_first: true,
        looked_at: 1_000,
    };
    let list = queries::entities::list(store.reader(), &filter, &page)
        .await
        .unwrap();
    list.rows.into_iter().map(|row| row.unique_id).collect()
}

async fn count(store: &Store, table: &str) -> i64 {
    let sql = hookrail_store::sea_orm::Statement::from_string(
        store.backend(),
        format!("SELECT COUNT(*) AS n FROM {table}"),
    );
    let row = store.reader().query_one_raw(sql).await.unwrap().unwrap();
    row.try_get("", "n").unwrap()
}

fn version(number: u64, at: Millis) -> VersionWrite {
    let write = entity("a", "Ann", "{}", at);
    VersionWrite {
        key: write.key,
        number,
        version: write.version,
        change: "updated",
        event: id(at),
        at,
        title: write.title,
        fields: write.fields,
        data: format!(r#"{{"n":{at}}}"#),
    }
}

async fn versions(store: &Store, page: VersionPage) -> Vec<i64> {
    let workspace = WORKSPACE.to_string();
    let of = (workspace.as_str(), "customer", "a");
    let rows = queries::entity_versions::list(store.reader(), of, &page)
        .await
        .unwrap();
    rows.iter().map(|row| row.at).collect()
}

fn newest(limit: usize) -> VersionPage {
    VersionPage {
        limit,
        after: None,
        newest_first: true,
    }
}

#[tokio::test]
async fn no_older_event_brings_a_deleted_entity_back_and_a_newer_one_makes_it_anew() {
    each_database(async |store| {
        assert!(put(&store, &entity("a", "Ann", "{}", 10)).await);
        let gone = EntityWrite {
            deleted_at: Some(20),
            ..over_stored(&store, entity("a", "Ann", "{}", 20)).await
        };
        assert!(put(&store, &gone).await);
        let workspace = WORKSPACE.to_string();
        let find = async || {
            queries::entities::find(store.reader(), &workspace, "customer", "a")
                .await
                .unwrap()
        };
        assert_eq!(find().await, None);
        let tombstone = queries::entities::find_or_tombstone(store.reader(), &workspace, "customer", "a")
            .await
            .unwrap();
        assert_eq!(tombstone.unwrap().deleted_at, Some(20));
        for text in [None, Some("ann"), Some("a")] {
            assert_eq!(finds(&store, text).await, [""; 0]);
        }
        assert!(!put(&store, &entity("a", "Ann", "{}", 15)).await, "an older one");
        assert!(!put(&store, &over_stored(&store, entity("a", "Ann", "{}", 15)).await).await);
        assert_eq!(find().await, None);
        assert!(put(&store, &over_stored(&store, entity("a", "Anna", "{}", 30)).await).await);
        assert_eq!(find().await.unwrap().first_seen_at, 30);
        for (text, expected) in [
            (None, vec!["a"]),
            (Some("anna"), vec!["a"]),
            (Some("ann"), vec![]),
        ] {
            assert_eq!(finds(&store, text).await, expected, "{text:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_tombstone_is_swept_with_all_that_is_left_of_its_entity() {
    each_database(async |store| {
        for (name, deleted_at) in [("a", Some(20)), ("b", Some(40)), ("c", None)] {
            let write = EntityWrite {
                deleted_at,
                ..entity(name, "Ann", "{}", 10)
            };
            put(&store, &write).await;
        }
        let tx = store.write().await.unwrap();
        entity_versions::write(&*tx, &[&version(1, 10), &version(2, 20)], &[])
            .await
            .unwrap();
        assert_eq!(entities::sweep_deleted(&*tx, 40, 10).await.unwrap(), 1);
        tx.commit().await.unwrap();
        assert_eq!(count(&store, "entities").await, 2);
        assert_eq!(count(&store, "entity_versions").await, 0);
        assert_eq!(count(&store, "entity_terms WHERE unique_id = 'a'").await, 0);
        assert_eq!(finds(&store, Some("ann")).await, ["c"]);
        let tx = store.write().await.unwrap();
        assert_eq!(
            entities::sweep_deleted(&*tx, 1000, 0).await.unwrap(),
            0,
            "no more than asked for"
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn terms_follow_the_entity_and_none_is_lost_where_two_events_change_it_at_once() {
    each_database(async |store| {
        put(&store, &entity("a", "Xenia", r#"{"city":"Bonn"}"#, 10)).await;
        // Both are made from what is stored now; the older one is stored first and takes the name away.
        let later = over_stored(&store, entity("a", "Xenia", r#"{"city":"Bonn"}"#, 30)).await;
        let earlier = over_stored(&store, entity("a", "Yara", r#"{"city":"Bonn"}"#, 20)).await;
        put(&store, &earlier).await;
        for (text, expected) in [("xenia", vec![]), ("yara", vec!["a"]), ("bonn", vec!["a"])] {
            assert_eq!(finds(&store, Some(text)).await, expected, "{text}");
        }
        put(&store, &later).await;
        for (text, expected) in [("xenia", vec!["a"]), ("yara", vec![]), ("bonn", vec!["a"])] {
            assert_eq!(finds(&store, Some(text)).await, expected, "{text}");
        }
        // What is refused changes nothing.
        put(&store, &over_stored(&store, entity("a", "Zoe", "{}", 5)).await).await;
        assert_eq!(finds(&store, Some("xenia")).await, ["a"]);
        assert_eq!(finds(&store, Some("zoe")).await, [""; 0]);
        // Two writes of one commit: the first one's state before, the last one's after.
        let first = over_stored(&store, entity("a", "Wim", "{}", 40)).await;
        let second = EntityWrite {
            first_seen_at: 10,
            ..entity("a", "Vera", "{}", 50)
        };
        let tx = store.write().await.unwrap();
        entities::upsert(&*tx, vec![first, second]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            count(&store, "entity_terms WHERE term IN ('xenia', 'wim', 'bonn')").await,
            0
        );
        assert_eq!(finds(&store, Some("vera")).await, ["a"]);
    })
    .await;
}

#[tokio::test]
async fn entities_that_an_older_version_stored_get_their_terms() {
    each_database(async |store| {
        for name in ["a", "b", "c"] {
            put(&store, &entity(name, "Ann", "{}", 10)).await;
        }
        let tx = store.write().await.unwrap();
        for sql in [
            "DELETE FROM entity_terms",
            "UPDATE entities SET terms_rules = NULL",
        ] {
            tx.execute_unprepared(sql).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(finds(&store, Some("ann")).await, [""; 0]);
        // One changes before its turn, in nothing that terms are made of.
        put(&store, &over_stored(&store, entity("b", "Ann", "{}", 20)).await).await;
        assert_eq!(finds(&store, Some("ann")).await, ["b"]);
        for given in [1, 1, 0] {
            let tx = store.write().await.unwrap();
            assert_eq!(entity_terms::give_to_old(&*tx, 1).await.unwrap(), given);
            tx.commit().await.unwrap();
        }
        assert_eq!(finds(&store, Some("ann")).await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn versions_are_kept_once_listed_in_pages_and_trimmed() {
    each_database(async |store| {
        let all: Vec<VersionWrite> = (1..=6).map(|n| version(n, n as i64 * 10)).collect();
        let mut beside = version(6, 61);
        beside.version.partition = 3;
        let write = async |versions: &[&VersionWrite], trims: &[&VersionTrim]| {
            let tx = store.write().await.unwrap();
            entity_versions::write(&*tx, versions, trims).await.unwrap();
            tx.commit().await.unwrap();
        };
        write(&all.iter().collect::<Vec<_>>(), &[]).await;
        write(&[&beside, &all[0]], &[]).await;
        assert_eq!(versions(&store, newest(10)).await, [61, 60, 50, 40, 30, 20, 10]);
        let after = Some((6, 0, 60));
        assert_eq!(
            versions(&store, VersionPage { after, ..newest(2) }).await,
            [50, 40]
        );
        let upwards = VersionPage {
            after,
            newest_first: false,
            ..newest(2)
        };
        assert_eq!(versions(&store, upwards).await, [61]);
        let trim = |through| VersionTrim {
            key: all[0].key.clone(),
            through,
        };
        write(&[], &[&trim(4), &trim(3)]).await;
        assert_eq!(versions(&store, newest(10)).await, [61, 60, 50]);
    })
    .await;
}
