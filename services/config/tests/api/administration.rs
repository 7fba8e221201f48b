//! Workspaces, tokens and roles.

use std::time::Duration;

use hookrail_store::tokens;

use crate::fixture::{Fixture, each_database};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_while_the_database_cannot_be_written() {
    each_database(async |fixture: Fixture| {
        let made = fixture
            .client
            .post("/tokens", r#"{"label": "ci", "role": "viewer"}"#)
            .await;
        let viewer = fixture.client.with_token(made.json()["token"].as_str().unwrap());
        // Another writer holds the database, and the token's row.
        let writer = fixture.store.write().await.unwrap();
        tokens::touch(&*writer, &made.id(), 1).await.unwrap();
        for _ in 0..3 {
            let answer = tokio::time::timeout(Duration::from_secs(10), viewer.get("/sources")).await;
            assert_eq!(answer.expect("it doesn't wait for the writer").status, 200);
        }
        drop(writer);
        let path = format!("/tokens/{}", made.id());
        let noted = async {
            while fixture.client.get(&path).await.json()["last_used_at"].is_null() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let noted = tokio::time::timeout(Duration::from_secs(20), noted).await;
        noted.expect("the use is written once it can be");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_act_in_their_workspace_and_within_their_role() {
    each_database(async |fixture: Fixture| {
        let root = &fixture.client;
        let made = root.post("/workspaces", r#"{"code": "team-b"}"#).await;
        let id = made.id();
        assert_eq!(
            root.get(&format!("/workspaces/{id}")).await.json()["code"],
            "team-b"
        );
        root.post("/workspaces", r#"{"code": "team-b"}"#)
            .await
            .is_problem(409, "code-taken");
        root.post("/workspaces", r#"{"code": "api"}"#)
            .await
            .is_invalid_at("invalid", "/code");
        assert_eq!(
            root.get("/workspaces").await.json()["items"]
                .as_array()
                .unwrap()
                .len(),
            2
        );

        let token = async |workspace: &str, role: &str| {
            let body = format!(r#"{{"label": "{role}", "role": "{role}"}}"#);
            let answer = root.post(&format!("/tokens?workspace={workspace}"), &body).await;
            (
                answer.id(),
                root.with_token(answer.json()["token"].as_str().unwrap()),
            )
        };
        let (_, admin) = token("team-b", "admin").await;
        let (_, editor) = token("team-b", "editor").await;
        let (viewer_id, viewer) = token("team-b", "viewer").await;

        editor.source("of-b", "").await;
        assert_eq!(
            root.get("/sources").await.json()["items"]
                .as_array()
                .unwrap()
                .len(),
            0
        );
        let seen = viewer.get("/sources").await.json();
        assert_eq!(
            seen["items"][0]["ingest_url"],
            "http://hooks.example.com/team-b/of-b"
        );
        viewer
            .post("/sources", r#"{"name": "x"}"#)
            .await
            .is_problem(403, "forbidden");
        editor.get("/tokens").await.is_problem(403, "forbidden");
        admin.get("/workspaces").await.is_problem(403, "forbidden");
        viewer
            .get("/sources?workspace=default")
            .await
            .is_problem(403, "forbidden");
        assert_eq!(viewer.get("/sources?workspace=team-b").await.status, 200);

        let listed = admin.get("/tokens").await;
        assert_eq!(listed.json()["items"].as_array().unwrap().len(), 3);
        assert!(!listed.text.contains(&viewer.token));
        assert_eq!(admin.delete(&format!("/tokens/{viewer_id}")).await.status, 204);
        viewer.get("/sources").await.is_problem(401, "unauthenticated");
        admin
            .post("/tokens", r#"{"label": "x", "role": "king"}"#)
            .await
            .is_invalid_at("invalid", "/role");
        root.delete(&format!("/tokens/{viewer_id}"))
            .await
            .is_problem(404, "not-found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_token_is_made_once() {
    each_database(async |fixture: Fixture| {
        let given = hookrail_runtime::Secret::from("given".to_owned());
        assert_eq!(
            hookrail_config::ensure_admin_token(&fixture.store, Some(&given), 1)
                .await
                .unwrap(),
            None
        );
        let made = hookrail_config::ensure_admin_token(&fixture.store, None, 1)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            hookrail_config::ensure_admin_token(&fixture.store, None, 2)
                .await
                .unwrap(),
            None
        );
        assert_eq!(
            fixture.client.with_token(&made).get("/workspaces").await.status,
            200
        );
    })
    .await;
}
