//! Fetchers, the sources that use them, and their tests.

use crate::client::Client;
use crate::fixture::{Fixture, each_database};
use crate::receiver::Receiver;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetcher_is_kept_checked_and_tested() {
    each_database(async |fixture: Fixture| {
        let client = &fixture.client;
        bad_fetchers_are_refused(client).await;
        a_fetcher_is_written_and_read_like_any_definition(client).await;
        a_source_fits_its_fetcher_whichever_is_saved_last(client).await;
        a_test_shows_the_call_and_the_entity(client).await;
    })
    .await;
}

fn body(name: &str, more: &str) -> String {
    format!(
        r#"{{"name": "{name}", "type": "customer", "url": "https://api.example.com/users/{{{{id}}}}", "unique_id": "$.id"{more}}}"#
    )
}

async fn bad_fetchers_are_refused(client: &Client) {
    for (body, code, pointer) in [
        (
            r#"{"name": "f", "type": "customer", "unique_id": "$.id"}"#.to_owned(),
            "invalid",
            "/url",
        ),
        (
            r#"{"name": "f", "type": "customer", "url": "https://a.example/{{id}}"}"#.to_owned(),
            "invalid",
            "/unique_id",
        ),
        (body("f", r#", "entity_path": "data""#), "invalid", "/entity_path"),
        (body("f", r#", "body": "{}""#), "invalid", "/body"),
        (body("f", r#", "on_404": "keep""#), "invalid", "/on_404"),
        (body("f", r#", "timeout_ms": 60001"#), "invalid", "/timeout_ms"),
        (
            r#"{"name": "f", "type": "c", "url": "http://169.254.169.254/{{id}}", "unique_id": "$.id"}"#
                .to_owned(),
            "invalid",
            "/url",
        ),
        (
            body(
                "f",
                r#", "auth": {"type": "oauth2_client_credentials", "token_url": "http://10.0.0.1/", "client_id": "a", "client_secret": "b"}"#,
            ),
            "invalid",
            "/auth/token_url",
        ),
    ] {
        client.post("/fetchers", &body).await.is_invalid_at(code, pointer);
    }
}

async fn a_fetcher_is_written_and_read_like_any_definition(client: &Client) {
    let secret = r#", "auth": {"type": "bearer", "token": "token-of-the-api"}, "headers": {"X-Team": "a"}"#;
    let created = client.post("/fetchers", &body("users", secret)).await;
    let id = created.id();
    assert!(id.starts_with("ftc_"), "{id}");
    let read = client.get(&format!("/fetchers/{id}")).await.json();
    assert_eq!(read["auth"]["token"]["hint"], "…-api", "{read}");
    assert_eq!(
        (&read["method"], &read["on_404"]),
        (&"GET".into(), &"delete".into()),
        "{read}"
    );
    assert!(!read.to_string().contains("token-of"), "{read}");
    client
        .post("/fetchers", &body("users", ""))
        .await
        .is_problem(409, "name-taken");
    let path = format!("/fetchers/{id}");
    let patched = client
        .patch(&path, r#"{"on_404": "mark", "headers": null}"#)
        .await
        .json();
    assert_eq!(patched["on_404"], "mark", "{patched}");
    assert_eq!(patched["headers"], serde_json::json!({}), "{patched}");
    assert_eq!(patched["auth"], read["auth"], "the secret stays: {patched}");
    let listed = client.get("/fetchers").await.json();
    assert_eq!(listed["items"][0]["id"], id.as_str(), "{listed}");
}

async fn a_source_fits_its_fetcher_whichever_is_saved_last(client: &Client) {
    let fetcher = client.post("/fetchers", &body("for-sources", "")).await.id();
    let source = |name: &str, rules: &str| {
        format!(r#"{{"name": "{name}", "entity": {{"build": "fetcher", {rules}}}}}"#)
    };
    let with = |fetcher: &str, kind: &str, unique_id: &str| {
        format!(r#""type": "{kind}", "fetcher": "{fetcher}", "unique_id": {unique_id}"#)
    };
    let missing = "ftc_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for (rules, pointer) in [
        (with(missing, "customer", r#""$.id""#), "/entity/fetcher"),
        (with(&fetcher, "order", r#""$.id""#), "/entity/type"),
        (
            with(&fetcher, "customer", r#"["$.a", "$.b"]"#),
            "/entity/unique_id",
        ),
    ] {
        client
            .post("/sources", &source("s0", &rules))
            .await
            .is_invalid_at("invalid", pointer);
    }
    let good = with(&fetcher, "customer", r#""$.user.id""#);
    let source = client.post("/sources", &source("s1", &good)).await.id();
    let path = format!("/fetchers/{fetcher}");
    client
        .patch(&path, r#"{"type": "order"}"#)
        .await
        .is_problem(409, "in-use");
    client
        .patch(&path, r#"{"unique_id": ["$.a", "$.b"]}"#)
        .await
        .is_problem(409, "in-use");
    let refused = client.delete(&path).await;
    assert_eq!(
        refused.json()["users"][0]["id"],
        source.as_str(),
        "{:?}",
        refused.json()
    );
    refused.is_problem(409, "in-use");
    client
        .patch(&format!("/sources/{source}"), r#"{"entity": null}"#)
        .await
        .json();
    assert_eq!(client.delete(&path).await.status, 204);
}

async fn a_test_shows_the_call_and_the_entity(client: &Client) {
    let api = Receiver::answering_with(200, r#"{"data": {"id": 42, "name": "a"}}"#);
    let fields = |path: &str| {
        format!(
            r#"{{"type": "customer", "url": "{}/{{{{id}}}}", "unique_id": "$.id", "entity_path": "{path}",
                "auth": {{"type": "header", "name": "X-Key", "value": "secret-of-the-api"}}}}"#,
            api.url
        )
    };
    let test = |path: &str, id: &str| format!(r#"{{"fetcher": {}, "id": {id}}}"#, fields(path));
    let found = client.post("/fetchers/test", &test("$.data", "42")).await.json();
    assert_eq!(found["entity"]["name"], "a", "{found}");
    assert_eq!(
        (&found["unique_id"], &found["response"]["status"]),
        (&"42".into(), &200.into()),
        "{found}"
    );
    assert!(
        found["request"]["url"].as_str().unwrap().ends_with("/42"),
        "{found}"
    );
    assert_eq!(found["request"]["headers"]["x-key"], "***", "{found}");
    assert_eq!(
        api.take_all().last().unwrap().header("x-key"),
        "secret-of-the-api"
    );
    let other = client
        .post("/fetchers/test", &test("$.data", r#""41""#))
        .await
        .json();
    assert_eq!(other["warnings"][0]["code"], "fetcher.other_id", "{other}");
    let wrong = client.post("/fetchers/test", &test("$.user", "42")).await.json();
    assert_eq!(wrong["warnings"][0]["field"], "fetcher.entity_path", "{wrong}");
    assert!(wrong["entity"].is_null(), "{wrong}");
    client
        .post("/fetchers/test", &test("$.data", "{}"))
        .await
        .is_invalid_at("invalid", "/id");
    client
        .post(
            "/fetchers/test",
            r#"{"fetcher": {"type": "customer", "url": "x", "unique_id": "$.id"}, "id": 1}"#,
        )
        .await
        .is_invalid_at("invalid", "/fetcher/url");
    let saved = fields("$.data").replacen('{', r#"{"name": "tested", "#, 1);
    let id = client.post("/fetchers", &saved).await.id();
    let found = client
        .post(&format!("/fetchers/{id}/test"), r#"{"id": "42"}"#)
        .await
        .json();
    assert_eq!(found["entity"]["id"], 42, "{found}");
}
