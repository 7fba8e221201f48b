//! Destinations: probes, tests, signing secrets.

use hookrail_domain::signature::SigningKey;

use crate::client::Client;
use crate::fixture::{Fixture, each_database};
use crate::receiver::Receiver;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_is_probed_before_it_is_saved() {
    each_database(async |fixture: Fixture| {
        let client = &fixture.client;
        bad_fields_are_refused_by_name(client).await;
        a_receiver_that_answers_well_is_saved(client).await;
        a_receiver_that_does_not_is_refused_with_the_attempt(client).await;
        changes_are_probed_where_they_matter(client).await;
        tests_give_the_attempt(client).await;
        secrets_rotate_with_overlap(client).await;
    })
    .await;
}

async fn bad_fields_are_refused_by_name(client: &Client) {
    for (members, code, pointer) in [
        (r#""url": "ftp://x""#, "invalid", "/url"),
        (r#""url": "http://10.0.0.1/hook""#, "invalid", "/url"),
        (r#""url": "http://169.254.169.254/""#, "invalid", "/url"),
        (
            r#""url": "http://127.0.0.1:9/", "retry": {"initial_ms": 1}"#,
            "invalid",
            "/retry/initial_ms",
        ),
        (
            r#""url": "http://127.0.0.1:9/", "retry": {"first_ms": 1}"#,
            "invalid",
            "/retry/first_ms",
        ),
        (
            r#""url": "http://127.0.0.1:9/", "headers": {"Host": "x"}"#,
            "invalid",
            "/headers/Host",
        ),
        (
            r#""url": "http://127.0.0.1:9/", "auth": {"type": "bearer"}"#,
            "invalid",
            "/auth/token",
        ),
        (
            r#""url": "http://127.0.0.1:9/", "signing": {"type": "standard_webhooks", "secret": "x"}"#,
            "invalid",
            "/signing/secrets/0",
        ),
        (
            r#""url": "http://127.0.0.1:9/", "api_key": {"id": "sec_01ARZ3NDEKTSV4RRFFQ69G5FAV"}"#,
            "invalid",
            "/api_key",
        ),
        (r#""url": "http://127.0.0.1:9/", "method": "GET"#, "", ""),
        (
            r#""url": "http://127.0.0.1:9/", "method": "GET", "format": "raw""#,
            "invalid",
            "/format",
        ),
        (
            r#""url": "http://127.0.0.1:9/", "format": "mapped", "events": ["x"]"#,
            "invalid",
            "/events",
        ),
        (
            r#""url": "http://127.0.0.1:9/", "spread": 33"#,
            "invalid",
            "/spread",
        ),
    ] {
        let answer = client
            .post(
                "/destinations?probe=false",
                &format!(r#"{{"name": "d", {members}}}"#),
            )
            .await;
        if code.is_empty() {
            answer.is_problem(400, "malformed-json");
        } else {
            answer.is_invalid_at(code, pointer);
        }
    }
    client
        .post("/destinations?probe=maybe", "{}")
        .await
        .is_problem(422, "invalid-parameter");
}

async fn a_receiver_that_answers_well_is_saved(client: &Client) {
    let receiver = Receiver::answering(204);
    let auth =
        r#""auth": {"type": "header", "name": "Authorization", "value": "Bearer receivers-secret-value"}"#;
    let body = format!(r#"{{"name": "good", "url": "{}", {auth}}}"#, receiver.url);
    let answer = client.post("/destinations", &body).await;
    let id = answer.id();
    let secret = answer.json()["signing"]["secrets"][0]["secret"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(secret.starts_with("whsec_"));
    assert!(!answer.text.contains("receivers-secret-value"));
    assert_eq!(answer.json()["auth"]["value"]["hint"], "…alue");
    let read = client.get(&format!("/destinations/{id}")).await;
    assert!(
        !read.text.contains(&secret) && !read.text.contains("receivers-secret"),
        "{}",
        read.text
    );

    let arrivals = receiver.take_all();
    assert_eq!(arrivals.len(), 1);
    let probe = &arrivals[0];
    assert_eq!(
        (probe.header("hookrail-test"), probe.header("authorization")),
        ("true", "Bearer receivers-secret-value")
    );
    let body: serde_json::Value = serde_json::from_slice(&probe.body).unwrap();
    assert_eq!(
        (&body["event_type"], &body["current_context"]["workspace"]),
        (&"hookrail.ping".into(), &"default".into())
    );
    let key = SigningKey::parse(&secret).unwrap();
    let timestamp = probe.header("webhook-timestamp").parse().unwrap();
    assert!(key.verifies(
        probe.header("webhook-id"),
        timestamp,
        &probe.body,
        probe.header("webhook-signature")
    ));
}

async fn a_receiver_that_does_not_is_refused_with_the_attempt(client: &Client) {
    let receiver = Receiver::answering(500);
    let body = format!(
        r#"{{"name": "bad", "url": "{}", "api_key": "key-of-the-receiver"}}"#,
        receiver.url
    );
    let problem = client
        .post("/destinations", &body)
        .await
        .is_problem(422, "probe-failed");
    assert_eq!(problem["attempt"]["response"]["status"], 500);
    assert_eq!(problem["attempt"]["response"]["body"], "as told");
    assert_eq!(problem["attempt"]["request"]["headers"]["x-api-key"], "***");
    assert_eq!(
        client.post("/destinations?probe=connect", &body).await.status,
        201
    );
    assert_eq!(receiver.take_all().len(), 1, "connecting is not asking");

    let nobody = r#"{"name": "nobody", "url": "http://127.0.0.1:9/hook"}"#;
    let problem = client
        .post("/destinations", nobody)
        .await
        .is_problem(422, "probe-failed");
    assert_eq!(problem["attempt"]["error"]["code"], "connect");
    client
        .post("/destinations?probe=connect", nobody)
        .await
        .is_problem(422, "probe-failed");
    assert_eq!(client.post("/destinations?probe=false", nobody).await.status, 201);
}

async fn changes_are_probed_where_they_matter(client: &Client) {
    let id = client.destination("changing", "").await;
    let path = format!("/destinations/{id}");
    let secret = client.get(&path).await.json()["signing"]["secrets"][0]["id"].clone();
    let slower = client
        .patch(&path, r#"{"timeout_ms": 1000, "labels": {"a": "b"}}"#)
        .await;
    assert_eq!(slower.status, 200, "{}", slower.text);
    client
        .patch(&path, r#"{"auth": {"type": "bearer", "token": "t"}}"#)
        .await
        .is_problem(422, "probe-failed");
    let receiver = Receiver::answering(200);
    let moved = client
        .patch(
            &path,
            &format!(
                r#"{{"url": "{}", "auth": {{"type": "bearer", "token": "t"}}}}"#,
                receiver.url
            ),
        )
        .await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    assert_eq!(
        moved.json()["signing"]["secrets"][0]["id"],
        secret,
        "a secret stays where it isn't written"
    );
    assert_eq!(receiver.take_all()[0].header("authorization"), "Bearer t");
    let none = client
        .patch(&path, r#"{"auth": {"type": "none"}, "timeout_ms": null}"#)
        .await
        .json();
    assert_eq!(
        (&none["auth"]["type"], &none["timeout_ms"]),
        (&"none".into(), &15000.into())
    );
}

async fn tests_give_the_attempt(client: &Client) {
    let receiver = Receiver::answering(503);
    let attempt = client
        .post("/destinations/test", &format!(r#"{{"url": "{}"}}"#, receiver.url))
        .await;
    assert_eq!(
        (attempt.status, &attempt.json()["response"]["status"]),
        (200, &503.into())
    );
    client
        .post("/destinations/test", r#"{"url": 1}"#)
        .await
        .is_invalid_at("invalid", "/url");
    let body = format!(r#"{{"name": "tested", "url": "{}"}}"#, receiver.url);
    let id = client.post("/destinations?probe=false", &body).await.id();
    let path = format!("/destinations/{id}/test");
    assert_eq!(client.ask("POST", &path, &[], "").await.status, 200);
    assert_eq!(
        client
            .post(&path, r#"{"event_type": "entity.created"}"#)
            .await
            .status,
        200
    );
    let last = receiver.take_all().pop().unwrap();
    assert!(String::from_utf8_lossy(&last.body).contains("entity.created"));
    client
        .post(&path, r#"{"event_type": "no.such"}"#)
        .await
        .is_invalid_at("invalid", "/event_type");
    a_test_is_sent_as_deliveries_are(client, &receiver).await;
    client
        .post("/destinations/dst_x/test", "{}")
        .await
        .is_problem(404, "not-found");
}

async fn a_test_is_sent_as_deliveries_are(client: &Client, receiver: &Receiver) {
    let attempt = async |members: &str| {
        let body = format!(r#"{{"url": "{}?own=1", {members}}}"#, receiver.url);
        let attempt = client.post("/destinations/test", &body).await;
        assert_eq!(attempt.status, 200, "{}", attempt.text);
        (
            attempt.json()["request"].clone(),
            receiver.take_all().pop().unwrap(),
        )
    };
    let (request, got) = attempt(r#""method": "GET", "signing": {"type": "none"}"#).await;
    let url = request["url"].as_str().unwrap();
    assert!(
        url.contains("?own=1&event_time=") && url.contains("&event_type=hookrail.ping&"),
        "{url}"
    );
    assert!(url.contains("&data_message=Hookrail+asks+whether"), "{url}");
    assert!(got.body.is_empty() && got.header("content-type").is_empty());
    let (_, got) = attempt(r#""format": "cloudevents-binary""#).await;
    assert_eq!(
        (got.header("ce-type"), got.header("ce-source")),
        ("hookrail.ping", "/default")
    );
    assert!(got.body.starts_with(br#"{"message":"#));
    let (_, got) = attempt(r#""format": "cloudevents""#).await;
    assert_eq!(got.header("content-type"), "application/cloudevents+json");
    let id = client
        .post(
            "/destinations?probe=false",
            &format!(
                r#"{{"name": "mapped-test", "url": "{}", "format": "mapped"}}"#,
                receiver.url
            ),
        )
        .await
        .id();
    let route = format!(
        r#"{{"name": "mapped-route", "destination": "{id}", "events": ["x"], "mapping": {{"m": "{{{{message}}}}!", "t": "$event.event_type"}}}}"#
    );
    client.post("/routes", &route).await.id();
    let path = format!("/destinations/{id}/test");
    assert_eq!(client.post(&path, "{}").await.status, 200);
    let got = String::from_utf8(receiver.take_all().pop().unwrap().body).unwrap();
    assert_eq!(
        got,
        r#"{"m":"Hookrail asks whether this URL takes webhooks!","t":"hookrail.ping"}"#
    );
}

async fn secrets_rotate_with_overlap(client: &Client) {
    let id = client.destination("rotating", "").await;
    let path = format!("/destinations/{id}");
    let old = client.get(&path).await.json()["signing"]["secrets"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    client
        .delete(&format!("{path}/secrets/{old}"))
        .await
        .is_problem(409, "last-secret");
    let made = client
        .post(
            &format!("{path}/secrets"),
            r#"{"expires_at": "2100-01-01T00:00:00Z"}"#,
        )
        .await;
    let new = made.id();
    assert!(made.json()["secret"].as_str().unwrap().starts_with("whsec_"));
    let secrets = client.get(&path).await.json()["signing"]["secrets"].clone();
    assert_eq!(
        (&secrets[0]["id"], &secrets[1]["id"]),
        (&new.as_str().into(), &old.as_str().into())
    );
    assert_eq!(secrets[1]["expires_at"], "2100-01-01T00:00:00.000Z");
    assert_eq!(client.delete(&format!("{path}/secrets/{old}")).await.status, 204);
    client
        .delete(&format!("{path}/secrets/{old}"))
        .await
        .is_problem(404, "not-found");
    client
        .post(&format!("{path}/secrets"), r#"{"secret": "short"}"#)
        .await
        .is_invalid_at("invalid", "/secret");
    let source = client.source("without-secrets", "").await;
    client
        .post(&format!("/sources/{source}/secrets"), "{}")
        .await
        .is_problem(409, "no-rotation");
}
