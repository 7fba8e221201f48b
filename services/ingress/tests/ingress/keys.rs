//! Ordering keys and senders' ids, wherever they are.

use hookrail_domain::source::{Dedupe, KeyPlace, OrderingMode, QueryParam, SourceOrdering, SourceSpec};

use crate::gateway::{Gateway, spec};

fn by_path(path: &str) -> KeyPlace {
    KeyPlace::at_path(path.parse().unwrap())
}

fn by_header(name: &str) -> KeyPlace {
    KeyPlace {
        header: Some(name.to_owned()),
        ..KeyPlace::default()
    }
}

fn by_query(name: &str) -> KeyPlace {
    KeyPlace {
        query: Some(name.to_owned()),
        ..KeyPlace::default()
    }
}

fn ordered(name: &str, key: KeyPlace) -> SourceSpec {
    let ordering = SourceOrdering {
        mode: OrderingMode::Key,
        key: Some(key),
    };
    SourceSpec {
        ordering: Some(ordering),
        max_body_bytes: 4 * 1024 * 1024,
        ..spec(name)
    }
}

fn deduped(name: &str, key: KeyPlace, window_s: u32) -> SourceSpec {
    SourceSpec {
        dedupe: Dedupe {
            enabled: true,
            key: Some(key),
            window_s,
        },
        ..spec(name)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordering_key_is_found_in_every_kind_of_body() {
    let item = QueryParam {
        name: "id".to_owned(),
        default: Some("none".to_owned()),
    };
    let gateway = Gateway::start(vec![
        ordered("by-path", by_path("$.order.id")),
        SourceSpec {
            query_params: vec![item],
            ..ordered("by-parameter", by_path("$.id"))
        },
        ordered("by-query", by_query("id")),
    ])
    .await;
    let multipart = "--x\r\nContent-Disposition: form-data; name=\"order[id]\"\r\n\r\n42\r\n--x--\r\n";
    let padding = "x".repeat(2 * 1024 * 1024);
    for (content_type, body) in [
        ("application/json", r#"{"order":{"id":42}}"#.to_owned()),
        ("application/xml", "<order><id>42</id></order>".to_owned()),
        ("application/x-www-form-urlencoded", "a=1&order[id]=42".to_owned()),
        ("multipart/form-data; boundary=x", multipart.to_owned()),
        (
            "application/json",
            format!(r#"{{"padding":"{padding}","order":{{"id":42}}}}"#),
        ),
        (
            "application/xml",
            format!("<order><p>{padding}</p><id>42</id></order>"),
        ),
    ] {
        let headers = [("content-type", content_type)];
        gateway
            .check_key("by-path", &headers, body.as_bytes(), Some("42"))
            .await;
    }
    for (target, key) in [
        ("/default/by-parameter?id=7", "7"),
        ("/default/by-parameter", "none"),
        ("/default/by-query?id=8", "8"),
    ] {
        let answer = gateway.send("GET", target, &[], b"").await;
        let event = gateway.stored(&answer.event_id()).await;
        assert_eq!(event.ordering_key.as_deref(), Some(key), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_parameters_are_part_of_the_event_with_their_defaults() {
    let param = |name: &str, default: Option<&str>| QueryParam {
        name: name.to_owned(),
        default: default.map(str::to_owned),
    };
    let gateway = Gateway::start(vec![SourceSpec {
        query_params: vec![param("item", Some("0")), param("unit", None)],
        ..spec("stock")
    }])
    .await;
    let answer = gateway.send("GET", "/default/stock?x=1", &[], b"").await;
    let event = gateway.stored(&answer.event_id()).await;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(event.query, [pair("x", "1"), pair("item", "0")]);
    let answer = gateway.send("POST", "/default/stock?item=7", &[], b"{}").await;
    let event = gateway.stored(&answer.event_id()).await;
    assert_eq!(event.query, [pair("item", "7")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_with_the_senders_id_is_answered_with_the_first_event() {
    let gateway = Gateway::start(vec![
        deduped("by-header", by_header("X-GitHub-Delivery"), 3600),
        deduped("by-path", by_path("$.id"), 3600),
        deduped("by-query", by_query("id"), 3600),
        deduped("briefly", by_query("id"), 1),
    ])
    .await;
    let send = async |target: &str, id: &str, body: &str| {
        let headers = [("content-type", "application/json"), ("x-github-delivery", id)];
        let target = format!("/default/{target}");
        gateway.send("POST", &target, &headers, body.as_bytes()).await
    };
    let id = r#"{"id": 7}"#;
    for (target, body, other) in [
        ("by-header", "{}", r#"{"another": "body"}"#),
        ("by-path", id, r#"{"id": 7, "try": 2}"#),
        ("by-query?id=7", "{}", "[]"),
    ] {
        let (first, again) = (send(target, "d-1", body).await, send(target, "d-1", other).await);
        assert_eq!((first.status, again.status), (202, 200), "{target}");
        assert_eq!(first.event_id(), again.event_id(), "{target}");
    }
    for target in ["by-path", "by-query"] {
        let (first, again) = (send(target, "d-1", "{}").await, send(target, "d-1", "{}").await);
        assert_eq!(
            (first.status, again.status),
            (202, 202),
            "{target}: without an id it is new"
        );
    }
    assert_eq!(send("by-header", "d-2", "{}").await.status, 202);
    assert_eq!(send("briefly?id=1", "", "{}").await.status, 202);
    assert_eq!(send("briefly?id=1", "", "{}").await.status, 200);
    // Longer than its source remembers, and not as long as the broker does.
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    assert_eq!(send("briefly?id=1", "", "{}").await.status, 202);
}
