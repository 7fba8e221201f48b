//! Secrets at rest: stored sealed, read by the key that sealed them, sealed anew by a newer one.

use std::time::Duration;

use hookrail_broker::{Broker, BrokerSettings, SnapshotFeed};
use hookrail_harness::key_ring_text;
use hookrail_keyring::{KeyRing, key_line, sealed_by};
use hookrail_store::sea_orm::ConnectionTrait;
use hookrail_store::secrets;

use crate::fixture::{Fixture, each_database};

const SECRET: &str = "planted-bearer-token";
/// How long publishing may take on a busy machine.
const SOON: Duration = Duration::from_secs(20);

async fn keys(fixture: &Fixture) -> Vec<Option<String>> {
    let rows = secrets::page_after(fixture.store.reader(), "", 100)
        .await
        .unwrap();
    assert!(
        rows.iter()
            .all(|row| row.value != SECRET || sealed_by(&row.value).is_none())
    );
    rows.iter()
        .map(|row| sealed_by(&row.value).map(str::to_owned))
        .collect()
}

/// The same broker, with another ring.
async fn with_ring(fixture: &Fixture, text: &str) -> Broker {
    let settings = BrokerSettings {
        key_ring: KeyRing::parse(text).unwrap(),
        ..fixture.broker.settings().clone()
    };
    Broker::connect(&settings, "test").await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_sealed_anew_and_the_older_key_can_go() {
    each_database(async |mut fixture: Fixture| {
        let auth = format!(r#", "auth": {{"type": "bearer", "token": "{SECRET}"}}"#);
        let source = fixture.client.source("sealed", &auth).await;
        fixture.client.destination("sealed", &auth).await;
        let old = Some("of-the-tests".to_owned());
        assert!(keys(&fixture).await.iter().all(|key| *key == old));
        let before = fixture.client.get(&format!("/sources/{source}")).await.json();
        // As an older version left it.
        let plain = format!("UPDATE secrets SET value = '{SECRET}' WHERE owner_id = '{source}'");
        let transaction = fixture.store.write().await.unwrap();
        transaction.execute_unprepared(&plain).await.unwrap();
        transaction.commit().await.unwrap();

        fixture.stop().await;
        let newest = key_line("newest", &[7; 32]);
        fixture.broker = with_ring(&fixture, &format!("{newest}\n{}", key_ring_text())).await;
        assert_eq!(fixture.broker.missing_key().await.unwrap(), None);
        fixture.start_again();
        let done = fixture.client.post("/rekey", "").await.json();
        // A destination has a signing secret too, which was made for it.
        assert_eq!(
            (&done["sealed_by"], &done["definitions"], &done["secrets"]),
            (&"newest".into(), &2.into(), &3.into())
        );
        assert!(
            keys(&fixture)
                .await
                .iter()
                .all(|key| key.as_deref() == Some("newest"))
        );
        // What isn't published yet is found by the next request.
        let rest = async { while fixture.client.post("/rekey", "").await.json()["complete"] != true {} };
        tokio::time::timeout(SOON, rest).await.expect("nothing is left");
        let again = fixture.client.post("/rekey", "").await.json();
        assert_eq!((&again["definitions"], &again["secrets"]), (&0.into(), &0.into()));
        assert!(
            keys(&fixture)
                .await
                .iter()
                .all(|key| key.as_deref() == Some("newest"))
        );
        let after = fixture.client.get(&format!("/sources/{source}")).await.json();
        assert_eq!(
            before["etag"], after["etag"],
            "nothing of it changed for its editors"
        );

        fixture.stop().await;
        let lacks = with_ring(&fixture, &key_ring_text()).await;
        assert_eq!(lacks.missing_key().await.unwrap().as_deref(), Some("newest"));
        fixture.broker = with_ring(&fixture, &newest).await;
        assert_eq!(fixture.broker.missing_key().await.unwrap(), None);
        fixture.start_again();
        let (_feed, snapshot) = SnapshotFeed::start(&fixture.broker).await.unwrap();
        let mut spec = snapshot
            .current()
            .source(source.parse().unwrap())
            .unwrap()
            .spec
            .clone();
        assert_eq!(spec.secrets_mut()[0].value.as_deref(), Some(SECRET));
        let changed = fixture
            .client
            .patch(&format!("/sources/{source}"), r#"{"description": "x"}"#)
            .await;
        assert_eq!(changed.status, 200, "{}", changed.text);
    })
    .await;
}
