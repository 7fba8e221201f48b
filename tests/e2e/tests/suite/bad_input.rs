//! Bad input: a clear error that names the field, and nothing else changes.

use std::sync::Arc;

use anyhow::ensure;
use hookrail_harness::Stack;
use serde_json::{Value, json};

use crate::fixtures::{source, unique};

pub(crate) async fn definitions_are_refused_by_field(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let name = unique("refused");
    let entity =
        |path: &str| json!({"name": name, "entity": {"type": "customer", "path": path, "unique_id": "$.id"}});
    let url = "http://127.0.0.1:1/";
    let cases: Vec<(&str, Value, &str)> = vec![
        ("/sources", json!({}), "/name"),
        ("/sources", json!({"name": "no spaces"}), "/name"),
        ("/sources", json!({"name": name, "colour": "red"}), "/colour"),
        ("/sources", json!({"name": name, "enabled": "yes"}), "/enabled"),
        (
            "/sources",
            json!({"name": name, "max_body_bytes": 0}),
            "/max_body_bytes",
        ),
        (
            "/sources",
            json!({"name": name, "methods": ["BREW"]}),
            "/methods/0",
        ),
        ("/sources", entity("$.a["), "/entity/path"),
        (
            "/sources",
            json!({"name": name, "ordering": {"mode": "key"}}),
            "/ordering/key",
        ),
        ("/sources", json!({"name": name, "paused": "yes"}), "/paused"),
        (
            "/destinations",
            json!({"name": name, "url": "ftp://example.com/"}),
            "/url",
        ),
        (
            "/destinations",
            json!({"name": name, "url": url, "timeout_ms": 1}),
            "/timeout_ms",
        ),
        (
            "/destinations",
            json!({"name": name, "url": url, "retry": {"initial_ms": 1}}),
            "/retry/initial_ms",
        ),
        (
            "/destinations",
            json!({"name": name, "url": url, "retry": {"often": true}}),
            "/retry/often",
        ),
        (
            "/destinations",
            json!({"name": name, "url": url, "format": "cloudevents", "method": "GET"}),
            "/format",
        ),
        (
            "/routes",
            json!({"name": name, "events": ["entity.created"]}),
            "/destination",
        ),
        (
            "/routes",
            json!({"name": name, "events": ["webhook.received"], "destination": "dst_01ARZ3NDEKTSV4RRFFQ69G5FAV"}),
            "/destination",
        ),
    ];
    for (path, body, pointer) in cases {
        let refused = api.call("POST", path, Some(&body)).await?;
        ensure!(
            refused.status == 422,
            "{path} {body}: {} {}",
            refused.status,
            refused.text
        );
        ensure!(
            refused
                .header("content-type")
                .starts_with("application/problem+json"),
            "{:?}",
            refused.headers
        );
        let problem = refused.json();
        let pointers: Vec<&Value> = problem["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|e| &e["pointer"])
            .collect();
        ensure!(
            pointers.iter().any(|found| *found == pointer),
            "{body}: {pointer} is not in {pointers:?}"
        );
    }
    let listed = api.get("/sources?limit=200").await?;
    ensure!(!listed.to_string().contains(&name), "something was stored");
    Ok(())
}

pub(crate) async fn bodies_that_are_not_what_they_say_are_refused(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let source = source(api, json!({"max_body_bytes": 2000})).await?;
    let big = format!("{{\"a\":\"{}\"}}", "x".repeat(3000));
    let deep = "[".repeat(200) + &"]".repeat(200);
    let cases: Vec<(&str, &str, u16)> = vec![
        ("application/json", "{\"a\":1", 400),
        ("application/json", "", 400),
        ("application/json", "{\"a\":1}}", 400),
        ("application/json", "{\"a\":\"\\ud800\"}", 400),
        ("application/json", &deep, 400),
        ("application/xml", "<a><b></a></b>", 400),
        (
            "application/xml",
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            400,
        ),
        ("application/json", &big, 413),
        ("application/json", "{\"a\":1}", 202),
        ("application/xml", "<a b=\"1\">c</a>", 202),
        ("text/plain", "{\"a\":1", 202),
    ];
    for (content_type, body, status) in &cases {
        let answer = api
            .send(&source.path, &[("content-type", content_type)], *body)
            .await?;
        let short: String = body.chars().take(60).collect();
        ensure!(
            answer.status == *status,
            "{content_type} {short}: {} {}",
            answer.status,
            answer.text
        );
    }
    let status = api.get(&format!("/sources/{}/status", source.id)).await?;
    ensure!(status["received"] == 3, "refused bodies are no events: {status}");
    ensure!(
        api.send_json("/default/nobody-here", "{}").await?.status == 404,
        "an unknown source"
    );
    ensure!(
        api.send_json("/h/nobody-here", "{}").await?.status == 404,
        "an unknown token"
    );
    Ok(())
}

pub(crate) async fn requests_that_break_the_conventions_are_refused(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let stranger = hookrail_harness::Api::new(&api.api, &api.ingress, "wrong");
    let refused = stranger.call("GET", "/sources", None).await?;
    ensure!(
        refused.status == 401 && !refused.header("www-authenticate").is_empty(),
        "{refused:?}"
    );
    let refused = api.call("DELETE", "/sources", None).await?;
    ensure!(
        refused.status == 405 && refused.header("allow").contains("POST"),
        "{refused:?}"
    );
    ensure!(
        api.call("GET", "/sources/src_nonsense", None).await?.status == 404,
        "an id that is none"
    );
    ensure!(
        api.call("GET", "/sources?limit=0", None).await?.status >= 400,
        "a limit of 0"
    );
    let document = api.call("GET", "/../openapi.json", None).await?.expect(200)?;
    ensure!(
        document["openapi"].as_str().is_some_and(|v| v.starts_with("3.1")),
        "OpenAPI 3.1"
    );
    Ok(())
}
