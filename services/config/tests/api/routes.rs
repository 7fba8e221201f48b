//! Routes, and what has to hold between them and their ends.

use crate::client::Client;
use crate::fixture::{Fixture, each_database};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_fits_its_source_and_its_destination() {
    each_database(async |fixture: Fixture| {
        let client = &fixture.client;
        bad_routes_are_refused(client).await;
        a_route_is_paused_and_goes_on(client).await;
        an_order_that_is_lost_is_refused_whichever_is_saved_last(client).await;
        what_is_in_use_stays(client).await;
        a_mapping_goes_with_the_format_mapped_whichever_is_saved_last(client).await;
        a_sender_has_one_answer_whichever_route_is_saved_last(client).await;
    })
    .await;
}

async fn a_route_is_paused_and_goes_on(client: &Client) {
    let destination = client.destination("p0", "").await;
    let body = format!(r#"{{"name": "p", "destination": "{destination}", "events": ["x"]}}"#);
    let path = format!("/routes/{}", client.post("/routes", &body).await.id());
    for paused in [true, false] {
        let changed = client.patch(&path, &format!(r#"{{"paused": {paused}}}"#)).await;
        assert_eq!((changed.status, &changed.json()["paused"]), (200, &paused.into()));
        assert_eq!(client.get(&path).await.json()["paused"], paused);
    }
}

async fn bad_routes_are_refused(client: &Client) {
    let destination = client.destination("d0", "").await;
    for (body, code, pointer) in [
        (r#"{"name": "r"}"#.to_owned(), "invalid", "/destination"),
        (format!(r#"{{"name": "r", "destination": "{destination}"}}"#), "invalid", "/events"),
        (r#"{"name": "r", "destination": "src_x", "events": ["entity.created"]}"#.to_owned(), "invalid", "/destination"),
        (
            r#"{"name": "r", "destination": "dst_01ARZ3NDEKTSV4RRFFQ69G5FAV", "source": "src_01ARZ3NDEKTSV4RRFFQ69G5FAV"}"#.to_owned(),
            "invalid",
            "/source",
        ),
        (format!(r#"{{"name": "r", "destination": "{destination}", "events": ["a b"]}}"#), "invalid", "/events/0"),
        (
            format!(r#"{{"name": "r", "destination": "{destination}", "events": ["x"], "mapping": {{"a": "$.b"}}}}"#),
            "invalid",
            "/mapping",
        ),
    ] {
        client.post("/routes", &body).await.is_invalid_at(code, pointer);
    }
}

async fn a_mapping_goes_with_the_format_mapped_whichever_is_saved_last(client: &Client) {
    let plain = client.destination("m-plain", "").await;
    let mapped = client.destination("m-mapped", r#", "format": "mapped""#).await;
    let route = |name: &str, destination: &str, more: &str| {
        format!(r#"{{"name": "{name}", "destination": "{destination}", "events": ["x"]{more}}}"#)
    };
    let mapping = r#", "mapping": {"a_b": "$.x", "a": {"b": "$.y"}}"#;
    for (destination, more, pointer) in [
        (&plain, mapping, "/mapping"),
        (&mapped, "", "/mapping"),
        (
            &mapped,
            r#", "mapping": {"a": {"b/c": "$.["}}"#,
            "/mapping/a/b~1c",
        ),
        (&mapped, r#", "mapping": {}"#, "/mapping"),
    ] {
        let refused = client.post("/routes", &route("m0", destination, more)).await;
        refused.is_invalid_at("invalid", pointer);
    }
    let kept = client.post("/routes", &route("m1", &mapped, mapping)).await.id();
    client.post("/routes", &route("m2", &plain, "")).await.id();
    for (destination, patch, pointer) in [
        (&mapped, r#"{"format": "event"}"#, "/format"),
        (&mapped, r#"{"method": "GET"}"#, "/method"),
        (&mapped, r#"{"events": ["x"]}"#, "/events"),
        (&plain, r#"{"format": "mapped"}"#, "/format"),
        (&plain, r#"{"format": "raw", "method": "GET"}"#, "/format"),
        (
            &plain,
            r#"{"format": "cloudevents-binary", "method": "GET"}"#,
            "/format",
        ),
    ] {
        let path = format!("/destinations/{destination}");
        client.patch(&path, patch).await.is_invalid_at("invalid", pointer);
    }
    let path = format!("/routes/{kept}");
    let other = client.patch(&path, r#"{"mapping": {"a_b": null, "c": 1}}"#).await;
    assert_eq!(other.status, 200, "{}", other.text);
    client
        .patch(&path, r#"{"mapping": null}"#)
        .await
        .is_invalid_at("invalid", "/mapping");
    let get = client
        .patch(&format!("/destinations/{mapped}"), r#"{"method": "GET"}"#)
        .await;
    assert_eq!(get.status, 200, "{}", get.text);
}

async fn an_order_that_is_lost_is_refused_whichever_is_saved_last(client: &Client) {
    let unordered = client.source("unordered", "").await;
    let ordered = client
        .source("ordered", r#", "ordering": {"mode": "source"}"#)
        .await;
    let strict = client.destination("strict", r#", "ordering": "key""#).await;
    let loose = client.destination("loose", "").await;
    let route = |name: &str, source: &str, destination: &str| {
        format!(r#"{{"name": "{name}", "source": "{source}", "destination": "{destination}"}}"#)
    };
    client
        .post("/routes", &route("r1", &unordered, &strict))
        .await
        .is_invalid_at("ordering-lost", "/ordering");
    let kept = client.post("/routes", &route("r2", &ordered, &strict)).await.id();
    client
        .post("/routes", &route("r3", &unordered, &loose))
        .await
        .id();
    let moved = client
        .patch(
            &format!("/routes/{kept}"),
            &format!(r#"{{"source": "{unordered}"}}"#),
        )
        .await;
    moved.is_invalid_at("ordering-lost", "/ordering");
    let source = client
        .patch(
            &format!("/sources/{ordered}"),
            r#"{"ordering": {"mode": "none"}}"#,
        )
        .await;
    source.is_invalid_at("ordering-lost", "/ordering");
    client
        .patch(&format!("/sources/{ordered}"), r#"{"ordering": null}"#)
        .await
        .is_invalid_at("ordering-lost", "/ordering");
    let destination = client
        .patch(
            &format!("/destinations/{loose}"),
            r#"{"ordering": "destination"}"#,
        )
        .await;
    destination.is_invalid_at("ordering-lost", "/ordering");
    assert_eq!(
        client.get(&format!("/destinations/{loose}")).await.json()["ordering"],
        "none"
    );
    client
        .patch(
            &format!("/sources/{unordered}"),
            r#"{"ordering": {"mode": "source"}}"#,
        )
        .await;
    assert_eq!(
        client
            .patch(
                &format!("/destinations/{loose}"),
                r#"{"ordering": "destination"}"#
            )
            .await
            .status,
        200
    );
}

async fn what_is_in_use_stays(client: &Client) {
    let source = client.source("used", "").await;
    let destination = client.destination("used", "").await;
    let body = format!(r#"{{"name": "user", "source": "{source}", "destination": "{destination}"}}"#);
    let route = client.post("/routes", &body).await.id();
    for path in [
        format!("/sources/{source}"),
        format!("/destinations/{destination}"),
    ] {
        let problem = client.delete(&path).await.is_problem(409, "in-use");
        assert_eq!(problem["users"][0]["id"], route.as_str());
        assert_eq!(problem["users"][0]["name"], "user");
    }
    assert_eq!(client.delete(&format!("/routes/{route}")).await.status, 204);
    assert_eq!(client.delete(&format!("/sources/{source}")).await.status, 204);
    assert_eq!(
        client
            .delete(&format!("/destinations/{destination}"))
            .await
            .status,
        204
    );
}

async fn a_sender_has_one_answer_whichever_route_is_saved_last(client: &Client) {
    let (source, other) = (client.source("asked", "").await, client.source("other", "").await);
    let destination = client.destination("answers", "").await;
    let route = |name: &str, source: &str, rest: &str| {
        format!(r#"{{"name": "{name}", "source": "{source}", "destination": "{destination}"{rest}}}"#)
    };
    let no_source = format!(
        r#"{{"name": "nobody", "events": ["entity.created"], "destination": "{destination}", "respond": true}}"#
    );
    client
        .post("/routes", &no_source)
        .await
        .is_invalid_at("invalid", "/respond");
    let warned = async || {
        let status = client.get(&format!("/sources/{source}/status")).await.json();
        status["warnings"][0]["code"] == "respond.missing"
    };
    assert!(!warned().await);
    let enable = r#"{"request_response": {"enabled": true}}"#;
    assert_eq!(
        client.patch(&format!("/sources/{source}"), enable).await.status,
        200
    );
    assert!(warned().await);
    let first = client
        .post("/routes", &route("a1", &source, r#", "respond": true"#))
        .await
        .id();
    assert!(!warned().await);
    let second = route("a2", &source, r#", "respond": true"#);
    client
        .post("/routes", &second)
        .await
        .is_invalid_at("invalid", "/respond");
    client
        .post("/routes", &route("a3", &other, r#", "respond": true"#))
        .await
        .id();
    let waits = route("a4", &source, r#", "respond": true, "enabled": false"#);
    let second = client.post("/routes", &waits).await.id();
    let enable = client
        .patch(&format!("/routes/{second}"), r#"{"enabled": true}"#)
        .await;
    enable.is_invalid_at("invalid", "/respond");
    // The one that answers may be changed as before.
    let rename = client
        .patch(&format!("/routes/{first}"), r#"{"name": "a5"}"#)
        .await;
    assert_eq!(rename.status, 200);
    client
        .patch(&format!("/routes/{first}"), r#"{"enabled": false}"#)
        .await;
    let enable = client
        .patch(&format!("/routes/{second}"), r#"{"enabled": true}"#)
        .await;
    assert_eq!(enable.status, 200);
    let back = client
        .patch(&format!("/routes/{first}"), r#"{"enabled": true}"#)
        .await;
    back.is_invalid_at("invalid", "/respond");
}
