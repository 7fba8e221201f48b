//! Every refusal of the table: status, code, and what goes with it.

use hookrail_domain::source::{DisabledAnswer, SourceMethod, SourceSpec};

use crate::gateway::{Gateway, api_key_spec, spec};

#[tokio::test(flavor = "multi_thread")]
async fn a_path_without_a_source_is_not_found() {
    let gateway = Gateway::start(vec![spec("orders")]).await;
    for path in [
        "/",
        "/default/other",
        "/h/unknown",
        "/r/unknown",
        "/default/orders/more",
    ] {
        let answer = gateway.send("POST", path, &[], b"{}").await;
        assert_eq!(
            (answer.status, answer.code()),
            (404, "not-found".to_owned()),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_source_says_so_in_the_way_that_its_owner_chose() {
    let off = SourceSpec {
        enabled: false,
        ..spec("off")
    };
    let later = SourceSpec {
        enabled: false,
        disabled_answer: DisabledAnswer::Retry,
        ..spec("later")
    };
    let gateway = Gateway::start(vec![off, later]).await;
    let answer = gateway.send("POST", "/default/off", &[], b"{}").await;
    assert_eq!((answer.status, answer.code()), (423, "disabled".to_owned()));
    assert_eq!(answer.header("retry-after"), None);
    let answer = gateway.send("POST", "/default/later", &[], b"{}").await;
    assert_eq!((answer.status, answer.code()), (503, "disabled".to_owned()));
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_the_source_does_not_take_is_answered_with_those_that_it_takes() {
    let methods = vec![SourceMethod::Post, SourceMethod::Put];
    let gateway = Gateway::start(vec![SourceSpec {
        methods,
        ..spec("orders")
    }])
    .await;
    for method in ["GET", "DELETE", "OPTIONS"] {
        let answer = gateway.send(method, "/default/orders", &[], b"").await;
        assert_eq!(
            (answer.status, answer.code()),
            (405, "method-not-allowed".to_owned()),
            "{method}"
        );
        assert_eq!(answer.header("allow"), Some("POST, PUT"));
    }
    assert_eq!(
        gateway.send("PUT", "/default/orders", &[], b"{}").await.status,
        202
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_key_the_answer_is_the_same() {
    let gateway = Gateway::start(vec![api_key_spec("orders", Some("X-Erp-Key"), Some("key"))]).await;
    let missing = gateway.send("POST", "/default/orders", &[], b"{}").await;
    let wrong = gateway
        .send("POST", "/default/orders", &[("x-erp-key", "nope")], b"{}")
        .await;
    let elsewhere = gateway
        .send("POST", "/default/orders", &[("x-api-key", "s3cret")], b"{}")
        .await;
    for answer in [&missing, &wrong, &elsewhere] {
        assert_eq!((answer.status, answer.code()), (401, "unauthorized".to_owned()));
        assert_eq!(answer.body, missing.body);
    }
    let by_header = gateway
        .send("POST", "/default/orders", &[("X-ERP-Key", "s3cret")], b"{}")
        .await;
    let by_query = gateway
        .send("POST", "/default/orders?key=s3cret", &[], b"{}")
        .await;
    assert_eq!((by_header.status, by_query.status), (202, 202));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_whether_its_length_is_declared_or_not() {
    let gateway = Gateway::start(vec![SourceSpec {
        max_body_bytes: 10,
        ..spec("orders")
    }])
    .await;
    let answer = gateway.send("POST", "/default/orders", &[], &[b' '; 11]).await;
    assert_eq!((answer.status, answer.code()), (413, "body-too-large".to_owned()));
    let mut connection = gateway.connect().await;
    connection
        .send_head("POST", "/default/orders", &[("transfer-encoding", "chunked")])
        .await;
    connection
        .send_bytes(b"8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n")
        .await;
    assert_eq!(connection.answer().await.status, 413);
    let fits = connection
        .send("POST", "/default/orders", &[], b"1234567890")
        .await;
    assert_eq!(fits.status, 202, "the connection goes on after the refusal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_what_its_type_says_is_refused() {
    let gateway = Gateway::start(vec![spec("orders")]).await;
    for (content_type, body) in [
        ("application/json", "{\"a\":1"),
        ("application/json", ""),
        ("application/vnd.api+json", "[1,]"),
        ("application/xml", "<a><b></a>"),
        ("text/xml", "<a>&unknown;</a>"),
    ] {
        let answer = gateway
            .send(
                "POST",
                "/default/orders",
                &[("content-type", content_type)],
                body.as_bytes(),
            )
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "malformed-body".to_owned()),
            "{content_type} {body}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoding_that_is_not_known_is_refused() {
    let gateway = Gateway::start(vec![spec("orders")]).await;
    for encoding in ["compress", "gzip, x", "gzip, gzip, gzip, gzip", "x"] {
        let answer = gateway
            .send(
                "POST",
                "/default/orders",
                &[("content-encoding", encoding)],
                b"{}",
            )
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (415, "unsupported-encoding".to_owned()),
            "{encoding}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_no_event() {
    let gateway = Gateway::start(vec![spec("orders")]).await;
    for (header, part) in [
        (("content-length", "100"), &b"hello"[..]),
        (
            ("transfer-encoding", "chunked"),
            b"5\r\nhello\r\nnot a length\r\n",
        ),
    ] {
        let mut connection = gateway.connect().await;
        connection.send_head("POST", "/default/orders", &[header]).await;
        connection.send_bytes(part).await;
    }
    assert_eq!(
        gateway.send("POST", "/default/orders", &[], b"{}").await.status,
        202
    );
    assert_eq!(gateway.events().await, 1);
}
