//! What every path has in common.

use crate::client::Client;
use crate::fixture::{Fixture, each_database};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_refused_as_the_conventions_say() {
    each_database(async |fixture: Fixture| {
        let client = &fixture.client;
        tokens_are_asked_for(client).await;
        paths_methods_and_media_types_are_checked(client).await;
        lists_are_paged(client).await;
        pages_and_heads_are_there(client).await;
    })
    .await;
}

async fn tokens_are_asked_for(client: &Client) {
    for token in ["", "wrong"] {
        let answer = client.with_token(token).get("/sources").await;
        answer.is_problem(401, "unauthenticated");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
        client
            .with_token(token)
            .get("/nothing")
            .await
            .is_problem(401, "unauthenticated");
    }
    let big = format!(r#"{{"name": "{}"}}"#, "x".repeat(900_000));
    client
        .with_token("wrong")
        .post("/sources", &big)
        .await
        .is_problem(401, "unauthenticated");
    client
        .post("/sources", &" ".repeat(1_100_000))
        .await
        .is_problem(413, "too-large");
    client
        .get("/sources?workspace=nowhere")
        .await
        .is_problem(404, "not-found");
    client
        .get("/sources?workspace=%00")
        .await
        .is_problem(404, "not-found");
}

async fn paths_methods_and_media_types_are_checked(client: &Client) {
    client.get("/nothing").await.is_problem(404, "not-found");
    client.get("/sources/src_x").await.is_problem(404, "not-found");
    client
        .get("/sources/src_01ARZ3NDEKTSV4RRFFQ69G5FAV")
        .await
        .is_problem(404, "not-found");
    client.get("/sources/%00").await.is_problem(404, "not-found");
    let answer = client.ask("PUT", "/sources", &[], "").await;
    answer.is_problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
    client
        .ask("POST", "/sources", &[("content-type", "text/plain")], "{}")
        .await
        .is_problem(415, "unsupported-media-type");
    client
        .ask("POST", "/sources", &[], "{}")
        .await
        .is_problem(415, "unsupported-media-type");
    client
        .post("/sources", "{")
        .await
        .is_problem(400, "malformed-json");
    client
        .post("/sources", "")
        .await
        .is_problem(400, "malformed-json");
    client.post("/sources", "[1]").await.is_invalid_at("invalid", "");
}

async fn lists_are_paged(client: &Client) {
    for name in ["a", "b", "c"] {
        client.source(name, "").await;
    }
    let names = |page: &serde_json::Value| -> Vec<String> {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = client.get("/sources?limit=2").await.json();
    assert_eq!(names(&first), ["c", "b"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = client
        .get(&format!("/sources?limit=2&cursor={cursor}"))
        .await
        .json();
    assert_eq!(names(&second), ["a"]);
    assert!(second["next_cursor"].is_null());
    let all = client.get("/sources?limit=3&order=asc").await.json();
    assert_eq!(
        (names(&all), all["next_cursor"].is_null()),
        (vec!["a".into(), "b".into(), "c".into()], true)
    );
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "order=up",
        "cursor=%00",
        "cursor=x",
    ] {
        client
            .get(&format!("/sources?{query}"))
            .await
            .is_problem(422, "invalid-parameter");
    }
}

async fn pages_and_heads_are_there(client: &Client) {
    let head = client.ask("HEAD", "/sources", &[], "").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    let nobody = client.with_token("");
    assert_eq!(nobody.get("/").await.status, 200);
    let document = nobody.get("/api/openapi.json").await.json();
    assert!(document["paths"]["/api/v1/destinations/{id}"]["patch"].is_object());
    let types = client.get("/event-types?limit=4&order=asc").await.json();
    assert_eq!(types["items"].as_array().unwrap().len(), 4);
    assert!(types["next_cursor"].is_string());
    let ping = client.get("/event-types/hookrail.ping").await.json();
    assert_eq!(ping["sample"]["event_type"], "hookrail.ping");
    client
        .get("/event-types/no.such")
        .await
        .is_problem(404, "not-found");
    assert_eq!(client.get("/stats").await.json()["sources"], 3);
}
