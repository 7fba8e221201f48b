//! What is accepted: its answer, and what lies in the broker afterwards.

use hookrail_domain::entity::EntityRules;
use hookrail_domain::partition;
use hookrail_domain::source::{KeyPlace, OrderingMode, SourceOrdering, SourceSpec};

use crate::gateway::{Gateway, api_key_spec, spec};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_event_lies_in_the_broker_byte_by_byte() {
    let gateway = Gateway::start(vec![spec("orders")]).await;
    let body = b" {\"id\": 12345678901234567890, \"price\": 1.10, \"id\": 2}\n";
    let headers = [
        JSON,
        ("X-Shop", "a b"),
        ("Cookie", "session=1"),
        ("Authorization", "Basic eA=="),
    ];
    let answer = gateway
        .send("POST", "/default/orders?b=1&a=%C3%A4", &headers, body)
        .await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let event = gateway.stored(&answer.event_id()).await;
    assert_eq!(&event.body.bytes().unwrap()[..], body);
    assert_eq!(event.content_type.as_deref(), Some("application/json"));
    assert_eq!(
        (event.method.as_str(), event.event_type.as_str()),
        ("POST", "webhook.received")
    );
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(event.query, [pair("b", "1"), pair("a", "ä")]);
    assert!(event.headers.contains(&pair("x-shop", "a b")));
    let names: Vec<_> = event.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        !names.contains(&"cookie") && !names.contains(&"authorization"),
        "{names:?}"
    );
    assert_eq!(event.remote_addr.as_deref(), Some("127.0.0.1"));
    assert_eq!(event.revision, gateway.revision());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_url_takes_what_the_name_takes() {
    let gateway = Gateway::start(vec![SourceSpec {
        public_name: false,
        ..spec("orders")
    }])
    .await;
    let token = gateway.source("orders").token.clone();
    assert_eq!(
        gateway
            .send("POST", &format!("/h/{token}"), &[], b"{}")
            .await
            .status,
        202
    );
    assert_eq!(
        gateway.send("POST", "/default/orders", &[], b"{}").await.status,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_lets_the_sender_in_is_not_stored() {
    let gateway = Gateway::start(vec![api_key_spec("orders", Some("X-Erp-Key"), Some("key"))]).await;
    let answer = gateway
        .send(
            "POST",
            "/default/orders?key=s3cret&b=1",
            &[("x-erp-key", "s3cret")],
            b"{}",
        )
        .await;
    let event = gateway.stored(&answer.event_id()).await;
    assert_eq!(event.query, [("b".to_owned(), "1".to_owned())]);
    assert!(!format!("{event:?}").contains("s3cret"));
    assert_eq!(event.credential, Some(gateway.source("orders").api_keys[0].id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_and_a_request_without_one_begins_one() {
    let gateway = Gateway::start(vec![spec("orders")]).await;
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = gateway
        .send("POST", "/default/orders", &[("traceparent", given)], b"{}")
        .await;
    let event = gateway.stored(&answer.event_id()).await;
    assert_eq!(event.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    let answer = gateway
        .send("POST", "/default/orders", &[("traceparent", "junk")], b"{}")
        .await;
    assert_eq!(gateway.stored(&answer.event_id()).await.trace_id().len(), 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_without_a_body_is_an_event_too() {
    let gateway = Gateway::start(vec![spec("orders")]).await;
    let answer = gateway.send("GET", "/default/orders?item=7", &[JSON], b"").await;
    assert_eq!(answer.status, 202);
    let event = gateway.stored(&answer.event_id()).await;
    assert_eq!((event.method.as_str(), event.body.size()), ("GET", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_with_one_key_share_its_partition() {
    let rules: EntityRules =
        serde_json::from_str(r#"{"type": "user", "path": "$.user", "unique_id": "$.id"}"#).unwrap();
    let by_header = SourceOrdering {
        mode: OrderingMode::Key,
        key: Some(KeyPlace {
            header: Some("X-Customer".to_owned()),
            ..KeyPlace::default()
        }),
    };
    let whole = SourceOrdering {
        mode: OrderingMode::Source,
        key: None,
    };
    let gateway = Gateway::start(vec![
        SourceSpec {
            entity: Some(rules),
            ..spec("by-id")
        },
        SourceSpec {
            ordering: Some(by_header),
            ..spec("by-header")
        },
        SourceSpec {
            ordering: Some(whole),
            ..spec("whole")
        },
    ])
    .await;
    for id in ["12345678901234567890", "\"a\"", "3"] {
        let body = format!(r#"{{"id": 1, "user": {{"x": [1], "id": {id}}}}}"#);
        gateway
            .check_key("by-id", &[JSON], body.as_bytes(), Some(id.trim_matches('"')))
            .await;
    }
    gateway.check_key("by-id", &[JSON], b"{}", None).await;
    gateway
        .check_key("by-header", &[("x-customer", "42")], b"no json", Some("42"))
        .await;
    gateway.check_key("by-header", &[], b"", None).await;
    let long = "k".repeat(600);
    let hashed = hookrail_domain::ordering_key::bounded(long.clone());
    assert_eq!(hashed.len(), "sha256:".len() + 64);
    gateway
        .check_key("by-header", &[("x-customer", &long)], b"", Some(&hashed))
        .await;
    let body = format!(r#"{{"user": {{"id": "{long}"}}}}"#);
    gateway
        .check_key("by-id", &[JSON], body.as_bytes(), Some(&hashed))
        .await;
    let answer = gateway.send("POST", "/default/whole", &[], b"").await;
    let event = gateway.stored(&answer.event_id()).await;
    let scope = gateway.source("whole").id.as_u128();
    assert_eq!(
        event.id.partition(),
        partition::of_key(scope, "", gateway.partitions())
    );
    assert_eq!(event.ordering_key, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_with_an_idempotency_key_is_taken_once() {
    let gateway = Gateway::start(vec![spec("orders")]).await;
    let key = [("Idempotency-Key", "order-1")];
    let first = gateway.send("POST", "/default/orders", &key, b"{\"a\":1}").await;
    let again = gateway.send("POST", "/default/orders", &key, b"{\"a\":1}").await;
    assert_eq!((first.status, again.status), (202, 200));
    assert_eq!(first.event_id(), again.event_id());
    let other = gateway.send("POST", "/default/orders", &key, b"{\"a\":2}").await;
    assert_eq!(
        (other.status, other.code()),
        (422, "idempotency-key-reused".to_owned())
    );
    let without = gateway.send("POST", "/default/orders", &[], b"{\"a\":1}").await;
    assert_eq!(without.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_definition_is_in_force_for_the_next_request() {
    let mut gateway = Gateway::start(vec![spec("orders")]).await;
    assert_eq!(
        gateway.send("POST", "/default/orders", &[], b"{}").await.status,
        202
    );
    gateway
        .change(SourceSpec {
            enabled: false,
            ..spec("orders")
        })
        .await;
    assert_eq!(
        gateway.send("POST", "/default/orders", &[], b"{}").await.status,
        423
    );
}
