//! The audit log: every change, by whom, and no secret.

use serde_json::Value;

use crate::client::Client;
use crate::fixture::{Fixture, each_database};

const SECRET: &str = "planted-password-of-the-audit";

async fn entries(client: &Client, query: &str) -> Vec<Value> {
    let answer = client.get(&format!("/audit{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(!answer.text.contains(SECRET), "{}", answer.text);
    answer.json()["items"].as_array().unwrap().clone()
}

/// Action, kind and name of each, the newest first.
fn told(entries: &[Value]) -> Vec<String> {
    let text = |entry: &Value| {
        let subject = &entry["subject"];
        let (action, kind) = (
            entry["action"].as_str().unwrap(),
            subject["kind"].as_str().unwrap(),
        );
        format!("{action} {kind} {}", subject["name"].as_str().unwrap_or("-"))
    };
    entries.iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_is_told_with_who_made_it_and_without_secrets() {
    each_database(async |fixture: Fixture| {
        let root = &fixture.client;
        let auth = format!(r#", "auth": {{"type": "basic", "username": "u", "password": "{SECRET}"}}"#);
        let source = root.source("orders", &auth).await;
        let path = format!("/sources/{source}");
        root.patch(&path, r#"{"description": "d"}"#).await;
        // Nothing changes, so nothing is told.
        root.patch(&path, r#"{"description": "d"}"#).await;
        root.post(&path, "{}").await.is_problem(405, "method-not-allowed");
        root.patch(&path, r#"{"name": "a b"}"#)
            .await
            .is_invalid_at("invalid", "/name");
        root.post(&format!("{path}/api-keys"), r#"{"label": "erp"}"#)
            .await
            .id();
        let made = root.post("/tokens", r#"{"label": "ci", "role": "admin"}"#).await;
        let token = root.with_token(made.json()["token"].as_str().unwrap());
        token.delete(&path).await;

        let all = entries(&token, "").await;
        assert_eq!(
            told(&all),
            [
                "deleted source orders",
                "created token ci",
                "created api key -",
                "updated source orders",
                "created source orders",
                "created workspace default",
            ]
        );
        assert_eq!(
            (&all[0]["actor"]["label"], &all[0]["actor"]["id"]),
            (&"ci".into(), &made.json()["id"])
        );
        assert_eq!(all[0]["actor"]["address"], "127.0.0.1");
        assert_eq!(
            (&all[1]["actor"]["id"], &all[5]["actor"]["id"]),
            (&"root".into(), &"hookrail".into())
        );
        let change = &all[3];
        assert_eq!(
            (&change["before"]["description"], &change["after"]["description"]),
            (&"".into(), &"d".into())
        );
        assert!(
            change["after"]["auth"]["password"]["id"]
                .as_str()
                .unwrap()
                .starts_with("sec_")
        );
        assert!(all[0]["after"].is_null() && all[4]["before"].is_null());

        assert_eq!(entries(&token, &format!("?what={source}")).await.len(), 3);
        assert_eq!(told(&entries(&token, "?what=token").await), ["created token ci"]);
        assert_eq!(entries(&token, "?actor=hookrail").await.len(), 1);
        assert_eq!(entries(&token, "?until=2020-01-01T00:00:00Z").await.len(), 0);
        assert_eq!(entries(&token, "?limit=2&order=asc").await.len(), 2);
        token
            .get("/audit?since=x")
            .await
            .is_problem(422, "invalid-parameter");
        token
            .get("/audit?what=%00")
            .await
            .is_problem(422, "invalid-parameter");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_sees_its_workspace_and_root_all() {
    each_database(async |fixture: Fixture| {
        let root = &fixture.client;
        root.post("/workspaces", r#"{"code": "team-b"}"#).await.id();
        let body = r#"{"label": "b", "role": "admin"}"#;
        let made = root.post("/tokens?workspace=team-b", body).await;
        let admin = root.with_token(made.json()["token"].as_str().unwrap());
        admin.source("of-b", "").await;
        root.source("of-a", "").await;
        assert_eq!(
            told(&entries(&admin, "").await),
            [
                "created source of-b",
                "created token b",
                "created workspace team-b"
            ]
        );
        assert_eq!(entries(root, "").await.len(), 5);
        assert_eq!(entries(root, "?workspace=default").await.len(), 2);
    })
    .await;
}
