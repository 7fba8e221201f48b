//! Sources and their keys.

use crate::client::Client;
use crate::fixture::{Fixture, each_database};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_is_written_read_changed_and_deleted() {
    each_database(async |fixture: Fixture| {
        let client = &fixture.client;
        bad_fields_are_refused_by_name(client).await;
        a_source_lives(client).await;
        versions_guard_writes(client).await;
        numbers_in_filters_stay_exact(client).await;
        keys_are_shown_once(client).await;
    })
    .await;
}

async fn bad_fields_are_refused_by_name(client: &Client) {
    for (body, code, pointer) in [
        (r#"{}"#, "invalid", "/name"),
        (r#"{"name": "a b"}"#, "invalid", "/name"),
        (r#"{"name": "a", "nmae": 1}"#, "invalid", "/nmae"),
        (r#"{"name": "a", "id": "src_1"}"#, "invalid", "/id"),
        (r#"{"name": "a", "methods": []}"#, "invalid", "/methods"),
        (r#"{"name": "a", "methods": ["TRACE"]}"#, "invalid", "/methods/0"),
        (
            r#"{"name": "a", "auth": {"type": "api_key", "heder": "x"}}"#,
            "invalid",
            "/auth/heder",
        ),
        (
            r#"{"name": "a", "auth": {"type": "magic"}}"#,
            "invalid",
            "/auth/type",
        ),
        (
            r#"{"name": "a", "entity": {"type": "x", "unique_id": "$["}}"#,
            "invalid",
            "/entity/unique_id",
        ),
        (
            r#"{"name": "a", "filter": {"all": [{"path": "$.a", "op": "like", "value": 1}]}}"#,
            "invalid",
            "/filter/all/0/op",
        ),
        (
            r#"{"name": "a", "ordering": {"mode": "key"}}"#,
            "invalid",
            "/ordering/key",
        ),
        (
            r#"{"name": "a", "retention": {"events_s": 59}}"#,
            "invalid",
            "/retention/events_s",
        ),
        (
            r#"{"name": "a", "retention": {"events_s": 315360001}}"#,
            "invalid",
            "/retention/events_s",
        ),
        (r#"{"name": "a", "auth": {"type": "jwt"}}"#, "invalid", "/auth"),
        (
            r#"{"name": "a", "request_response": {"enabled": true, "timeout_ms": 99}}"#,
            "invalid",
            "/request_response/timeout_ms",
        ),
        (
            r#"{"name": "a", "request_response": {"timeout_ms": 60001}}"#,
            "invalid",
            "/request_response/timeout_ms",
        ),
        (r#"{"name": "a", "paused": "yes"}"#, "invalid", "/paused"),
        (r#"{"name": "a b", "paused": true}"#, "invalid", "/name"),
    ] {
        client.post("/sources", body).await.is_invalid_at(code, pointer);
    }
    assert_eq!(
        client.get("/sources").await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
}

async fn a_source_lives(client: &Client) {
    let entity = r#", "entity": {"type": "customer", "unique_id": "$.id"}"#;
    let answer = client
        .post("/sources", &format!(r#"{{"name": "customers"{entity}}}"#))
        .await;
    let id = answer.id();
    assert_eq!(
        answer.header("location"),
        Some(format!("/api/v1/sources/{id}").as_str())
    );
    let made = answer.json();
    assert_eq!(made["ingest_url"], "http://hooks.example.com/default/customers");
    assert!(
        made["token_url"]
            .as_str()
            .unwrap()
            .starts_with("http://hooks.example.com/h/")
    );
    assert_eq!(
        (&made["workspace"], &made["status"]),
        (&"default".into(), &"waiting".into())
    );
    assert_eq!(made["ordering"]["mode"], "key");
    assert_eq!(made["ordering"]["key"]["path"], "$.id");
    assert_eq!(client.get(&format!("/sources/{id}")).await.json(), made);
    client
        .post("/sources", r#"{"name": "customers"}"#)
        .await
        .is_problem(409, "name-taken");

    let patched = client
        .patch(
            &format!("/sources/{id}"),
            r#"{"name": "clients", "enabled": false}"#,
        )
        .await;
    assert_eq!(patched.status, 200, "{}", patched.text);
    assert_eq!(
        (&patched.json()["name"], &patched.json()["status"]),
        (&"clients".into(), &"disabled".into())
    );
    let back = client
        .patch(&format!("/sources/{id}"), r#"{"enabled": null, "entity": null}"#)
        .await
        .json();
    assert_eq!(
        (&back["enabled"], &back["ordering"]["mode"]),
        (&true.into(), &"none".into())
    );
    client
        .patch(&format!("/sources/{id}"), r#"{"enabled": 1}"#)
        .await
        .is_invalid_at("invalid", "/enabled");
    client
        .patch(&format!("/sources/{id}"), "[]")
        .await
        .is_invalid_at("invalid", "");

    assert_eq!(client.delete(&format!("/sources/{id}")).await.status, 204);
    client
        .get(&format!("/sources/{id}"))
        .await
        .is_problem(404, "not-found");
    client
        .delete(&format!("/sources/{id}"))
        .await
        .is_problem(404, "not-found");
}

async fn versions_guard_writes(client: &Client) {
    let id = client.source("versions", "").await;
    let path = format!("/sources/{id}");
    let first = client.get(&path).await;
    let etag = first.header("etag").unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", first.json()["etag"].as_str().unwrap()));
    let with = async |etag: &str, body: &str| {
        let headers = [("content-type", "application/json"), ("if-match", etag)];
        client.ask("PATCH", &path, &headers, body).await
    };
    with("\"r0\"", r#"{"description": "x"}"#)
        .await
        .is_problem(412, "precondition-failed");
    let same = with(&etag, r#"{"description": ""}"#).await;
    assert_eq!(
        same.header("etag"),
        Some(etag.as_str()),
        "what changes nothing makes no new version"
    );
    let second = with(&etag, r#"{"description": "x"}"#).await;
    assert_eq!(second.status, 200);
    assert_ne!(second.header("etag"), Some(etag.as_str()));
    with(&etag, r#"{"description": "y"}"#)
        .await
        .is_problem(412, "precondition-failed");
    assert_eq!(
        client
            .ask("DELETE", &path, &[("if-match", &etag)], "")
            .await
            .status,
        412
    );
    assert_eq!(
        client.ask("DELETE", &path, &[("if-match", "*")], "").await.status,
        204
    );
}

async fn numbers_in_filters_stay_exact(client: &Client) {
    let filter = r#"{"all":[{"path":"$.id","op":"eq","value":820982911946154508123},{"path":"$.p","op":"eq","value":1.10}]}"#;
    let id = client.source("exact", &format!(r#", "filter": {filter}"#)).await;
    client
        .patch(&format!("/sources/{id}"), r#"{"description": "x"}"#)
        .await;
    let text = client.get(&format!("/sources/{id}")).await.text;
    assert!(
        text.contains("820982911946154508123") && text.contains("1.10"),
        "{text}"
    );
}

async fn keys_are_shown_once(client: &Client) {
    let id = client.source("keyed", r#", "auth": {"type": "api_key"}"#).await;
    let path = format!("/sources/{id}/api-keys");
    let made = client.post(&path, r#"{"label": "erp"}"#).await;
    let key_id = made.id();
    let text = made.json()["key"].as_str().unwrap().to_owned();
    assert!(text.len() > 40, "{text}");
    let pasted = client
        .post(&path, r#"{"label": "old", "key": "pasted-key-of-the-erp"}"#)
        .await;
    assert_eq!(pasted.json()["key"], "pasted-key-of-the-erp");
    client
        .post(&path, r#"{"label": "again", "key": "pasted-key-of-the-erp"}"#)
        .await
        .is_problem(409, "key-exists");
    client
        .post(&path, r#"{"label": "short", "key": "x"}"#)
        .await
        .is_invalid_at("invalid", "/key");
    client
        .post(&path, r#"{"label": ""}"#)
        .await
        .is_invalid_at("invalid", "/label");
    client
        .post(&path, r#"{"key": null}"#)
        .await
        .is_invalid_at("invalid", "/label");
    let listed = client.get(&path).await;
    assert_eq!(listed.json()["items"].as_array().unwrap().len(), 2);
    assert!(!listed.text.contains(&text) && !listed.text.contains("pasted-key"));
    let relabelled = client
        .patch(&format!("{path}/{key_id}"), r#"{"label": "crm"}"#)
        .await;
    assert_eq!(relabelled.json()["label"], "crm");
    assert_eq!(client.delete(&format!("{path}/{key_id}")).await.status, 204);
    client
        .get(&format!("{path}/{key_id}"))
        .await
        .is_problem(404, "not-found");
    client
        .get(&format!("{path}/%00"))
        .await
        .is_problem(404, "not-found");
}
