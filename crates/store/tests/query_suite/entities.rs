//! Lists of entities, and one.

use hookrail_domain::Millis;
use hookrail_store::{
    Store,
    entities::{self, EntityKey, EntityVersion, EntityWrite},
    queries::{
        self,
        entities::{EntityFilter, EntityPage, EntityPlace},
    },
};

use crate::databases::each_database;
use crate::samples::{OTHER_WORKSPACE, SOURCE, WORKSPACE, id};

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
