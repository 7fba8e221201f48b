//! Bodies on the wire: encoded, in pieces, unread, broken off.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use hookrail_domain::source::SourceSpec;

use crate::gateway::{Gateway, spec};

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_body_is_stored_decoded_and_counted_decoded() {
    let gateway = Gateway::start(vec![SourceSpec {
        max_body_bytes: 100_000,
        ..spec("orders")
    }])
    .await;
    let headers = [("content-encoding", "gzip"), ("content-type", "application/json")];
    let body = format!("\"{}\"", "a".repeat(99_998));
    let answer = gateway
        .send("POST", "/default/orders", &headers, &gzip(body.as_bytes()))
        .await;
    assert_eq!(answer.status, 202);
    let event = gateway.stored(&answer.event_id()).await;
    assert_eq!(&event.body.bytes().unwrap()[..], body.as_bytes());
    assert!(event.headers.iter().all(|(name, _)| name != "content-encoding"));
    let over = format!("{body} ");
    let answer = gateway
        .send("POST", "/default/orders", &headers, &gzip(over.as_bytes()))
        .await;
    assert_eq!(answer.status, 413);
    let answer = gateway.send("POST", "/default/orders", &headers, b"{}").await;
    assert_eq!((answer.status, answer.code()), (400, "malformed-body".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_is_put_together() {
    let gateway = Gateway::start(vec![spec("orders")]).await;
    let mut connection = gateway.connect().await;
    connection
        .send_head("POST", "/default/orders", &[("transfer-encoding", "chunked")])
        .await;
    connection.send_bytes(b"3\r\n{\"a\r\n").await;
    connection.send_bytes(b"4\r\n\":1}\r\n0\r\n\r\n").await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 202);
    let event = gateway.stored(&answer.event_id()).await;
    assert_eq!(&event.body.bytes().unwrap()[..], b"{\"a\":1}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_body_that_is_allowed_is_taken() {
    let gateway = Gateway::start(vec![spec("orders")]).await;
    let answer = gateway
        .send("POST", "/default/orders", &[], &vec![b'x'; 900_000])
        .await;
    assert_eq!(answer.status, 202);
    assert_eq!(gateway.stored(&answer.event_id()).await.body.size(), 900_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_the_documented_size_is_taken_and_no_larger_one() {
    let gateway = Gateway::start(vec![spec("orders")]).await;
    let mut body = vec![b'x'; 1_048_576];
    let answer = gateway.send("POST", "/default/orders", &[], &body).await;
    assert_eq!(answer.status, 202);
    gateway.check_body(&answer.event_id(), &body).await;
    body.push(b'x');
    assert_eq!(
        gateway.send("POST", "/default/orders", &[], &body).await.status,
        413
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_before_a_large_body_was_read_leaves_the_connection_usable() {
    let gateway = Gateway::start(vec![spec("orders")]).await;
    let mut connection = gateway.connect().await;
    let body = vec![b'x'; 4 * 1024 * 1024];
    for path in ["/default/nobody", "/default/orders"] {
        let refused = connection.send("POST", path, &[], &body).await;
        assert!(matches!(refused.status, 404 | 413), "{refused:?}");
        let taken = connection.send("POST", "/default/orders", &[], b"{}").await;
        assert_eq!(taken.status, 202, "after {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_before_an_endless_body_closes_the_connection_after_the_answer() {
    let gateway = Gateway::start(vec![spec("orders")]).await;
    let mut connection = gateway.connect().await;
    let length = (1_u64 << 40).to_string();
    connection
        .send_head("POST", "/default/nobody", &[("content-length", &length)])
        .await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer
            .header("connection")
            .map(str::to_ascii_lowercase)
            .as_deref(),
        Some("close")
    );
}
