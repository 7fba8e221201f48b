//! Tokens that end, the last admin, workspaces that change, and who asks too often.

use hookrail_config::ConfigSettings;
use hookrail_store::sea_orm::ConnectionTrait;

use crate::fixture::{Fixture, each_database};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_ends_and_the_last_admin_stays() {
    each_database(async |fixture: Fixture| {
        let root = &fixture.client;
        for wrong in ["2020-01-01T00:00:00Z", "soon"] {
            let body = format!(r#"{{"label": "x", "role": "viewer", "expires_at": "{wrong}"}}"#);
            root.post("/tokens", &body)
                .await
                .is_invalid_at("invalid", "/expires_at");
        }
        let body = r#"{"label": "short", "role": "admin", "expires_at": "2099-01-01T00:00:00Z"}"#;
        let made = root.post("/tokens", body).await;
        let admin = root.with_token(made.json()["token"].as_str().unwrap());
        let path = format!("/tokens/{}", made.id());
        assert_eq!(
            admin.get(&path).await.json()["expires_at"],
            "2099-01-01T00:00:00.000Z"
        );
        admin.delete(&path).await.is_problem(409, "last-admin-token");
        let second = admin
            .post("/tokens", r#"{"label": "b", "role": "admin"}"#)
            .await
            .id();
        // Root's are not seen from a workspace, and not made by its admins.
        admin
            .post("/tokens", r#"{"label": "b", "role": "root"}"#)
            .await
            .is_problem(403, "forbidden");
        let of_root = root.post("/tokens", r#"{"label": "r", "role": "root"}"#).await;
        assert!(of_root.json()["workspace"].is_null());
        admin
            .get(&format!("/tokens/{}", of_root.id()))
            .await
            .is_problem(404, "not-found");
        let other_root = root.with_token(of_root.json()["token"].as_str().unwrap());
        assert_eq!(other_root.get("/workspaces").await.status, 200);
        assert_eq!(
            root.delete(&format!("/tokens/{}", of_root.id())).await.status,
            204
        );
        other_root
            .get("/workspaces")
            .await
            .is_problem(401, "unauthenticated");

        let ended = format!("UPDATE tokens SET expires_at = 1 WHERE id = '{}'", made.id());
        let transaction = fixture.store.write().await.unwrap();
        transaction.execute_unprepared(&ended).await.unwrap();
        transaction.commit().await.unwrap();
        admin.get("/sources").await.is_problem(401, "unauthenticated");
        assert_eq!(root.delete(&format!("/tokens/{second}")).await.status, 204);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_is_renamed_with_its_sources_and_deleted_once_it_is_empty() {
    each_database(async |fixture: Fixture| {
        let root = &fixture.client;
        let id = root.post("/workspaces", r#"{"code": "old-team"}"#).await.id();
        let path = format!("/workspaces/{id}");
        let auth = r#"{"name": "orders", "auth": {"type": "bearer", "token": "abcdefgh"}}"#;
        let source = root.post("/sources?workspace=old-team", auth).await.id();
        root.patch(&path, r#"{"code": "api"}"#)
            .await
            .is_invalid_at("invalid", "/code");
        root.patch(&path, r#"{"code": "default"}"#)
            .await
            .is_problem(409, "code-taken");
        assert_eq!(
            root.patch(&path, r#"{"code": "new-team"}"#).await.json()["code"],
            "new-team"
        );
        let shown = root
            .get(&format!("/sources/{source}?workspace=new-team"))
            .await
            .json();
        assert_eq!(shown["ingest_url"], "http://hooks.example.com/new-team/orders");
        let (_feed, snapshot) = hookrail_broker::SnapshotFeed::start(&fixture.broker)
            .await
            .unwrap();
        let newest = hookrail_store::revision::current(fixture.store.reader())
            .await
            .unwrap();
        let long = std::time::Duration::from_secs(20);
        assert!(snapshot.wait_for(newest.unsigned_abs(), long).await);
        let current = snapshot.current();
        assert!(
            current.source_at("new-team/orders", 0).is_some()
                && current.source_at("old-team/orders", 0).is_none()
        );

        let refused = root.delete(&path).await.is_problem(409, "in-use");
        assert_eq!(refused["users"][0]["kind"], "sources");
        root.delete(&format!("/sources/{source}?workspace=new-team"))
            .await;
        assert_eq!(root.delete(&path).await.status, 204);
        root.get("/sources?workspace=new-team")
            .await
            .is_problem(404, "not-found");
        let first = root.get("/workspaces").await.json()["items"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let first = format!("/workspaces/{first}");
        root.patch(&first, r#"{"code": "other"}"#)
            .await
            .is_problem(409, "first-workspace");
        root.delete(&first).await.is_problem(409, "first-workspace");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_too_often_is_told_when_to_come_again() {
    each_database(async |mut fixture: Fixture| {
        let open = fixture.client.get("/stats").await;
        assert_eq!(open.header("ratelimit-policy"), Some("\"token\";q=20000;w=2"));
        fixture.stop().await;
        fixture.start_with(ConfigSettings {
            api_rate: 1,
            ..fixture.settings()
        });
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(fixture.client.get("/stats").await.status);
        }
        assert_eq!(statuses, [200, 200, 429]);
        let refused = fixture.client.get("/stats").await;
        refused.is_problem(429, "too-many-requests");
        assert_eq!(refused.header("retry-after"), Some("1"));
    })
    .await;
}
