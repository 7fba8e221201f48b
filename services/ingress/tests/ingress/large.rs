//! Bodies that are too large for a message, in every encoding, and bombs.

use std::time::Duration;

use hookrail_domain::source::SourceSpec;
use hookrail_harness::{bomb, encode, eventually};

use crate::gateway::{Gateway, spec};

const MIB: usize = 1024 * 1024;
/// How long the last body may take to be removed, seconds.
const SOON: u64 = 10;

fn large(name: &str) -> SourceSpec {
    SourceSpec {
        max_body_bytes: 32 * MIB as u64,
        ..spec(name)
    }
}

/// JSON of exactly `bytes`, of which no two parts are the same.
fn json(bytes: usize) -> Vec<u8> {
    let mut body = br#"{"id":"large","items":["#.to_vec();
    let mut number = 0_u64;
    while body.len() < bytes - 100 {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        body.extend_from_slice(format!("\"{number:016x}{number:016x}{number:016x}\",").as_bytes());
    }
    let rest = bytes - body.len() - br#"""]}"#.len();
    body.extend_from_slice(format!("\"{}\"]}}", "x".repeat(rest)).as_bytes());
    assert_eq!(body.len(), bytes);
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_2_8_and_32_mib_are_taken_in_every_encoding() {
    let gateway = Gateway::start(vec![large("large")]).await;
    let mut taken = 0;
    for size in [2, 8, 32] {
        let body = json(size * MIB);
        for encoding in ["identity", "gzip", "deflate", "deflate-raw", "br", "zstd"] {
            let header = encoding.trim_end_matches("-raw");
            let headers = [("content-type", "application/json"), ("content-encoding", header)];
            let encoded = encode(encoding, &body);
            let answer = gateway.send("POST", "/default/large", &headers, &encoded).await;
            assert_eq!(answer.status, 202, "{size} MiB {encoding}");
            gateway.check_body(&answer.event_id(), &body).await;
            taken += 1;
            let objects = gateway.broker.list_objects(0, usize::MAX).await.unwrap();
            for object in objects {
                gateway.broker.delete_object(&object.name).await.unwrap();
            }
        }
    }
    assert_eq!((taken, gateway.events().await), (18, 18));
    let over = vec![b' '; 32 * MIB + 1];
    let answer = gateway.send("POST", "/default/large", &[], &over).await;
    assert_eq!(answer.status, 413);
    assert_eq!(gateway.objects().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_of_each_encoding_is_refused_and_leaves_nothing() {
    let gateway = Gateway::start(vec![large("large")]).await;
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let headers = [("content-encoding", encoding)];
        let answer = gateway
            .send("POST", "/default/large", &headers, &bomb(encoding))
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (413, "body-too-large".to_owned()),
            "{encoding}"
        );
    }
    let unknown = gateway
        .send(
            "POST",
            "/default/large",
            &[("content-encoding", "compress")],
            b"x",
        )
        .await;
    assert_eq!(
        (unknown.status, unknown.code()),
        (415, "unsupported-encoding".to_owned())
    );
    let said = String::from_utf8_lossy(&unknown.body).into_owned();
    assert!(said.contains("gzip, deflate, br, zstd"), "{said}");
    assert_eq!((gateway.events().await, gateway.objects().await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_repetition_is_known_by_its_body_which_is_not_kept_twice() {
    let gateway = Gateway::start(vec![large("large")]).await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let (body, mut other) = (json(2 * MIB), json(2 * MIB));
    other[10] = b'x';
    let send = async |body: &[u8]| gateway.send("POST", "/default/large", &headers, body).await;
    let (first, again, reused) = (send(&body).await, send(&body).await, send(&other).await);
    assert_eq!((first.status, again.status, reused.status), (202, 200, 422));
    assert_eq!(first.event_id(), again.event_id());
    let alone = || async { (gateway.objects().await == 1).then_some(()) };
    eventually("one body is left", SOON, alone).await.unwrap();
    gateway.check_body(&first.event_id(), &body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_object_store_refuses_large_bodies_and_no_others() {
    let gateway = Gateway::start(vec![large("large")]).await;
    let publisher = gateway.broker.publisher();
    let filling = bytes::Bytes::from(vec![b'x'; 32 * MIB]);
    for number in 0..9 {
        let name = format!("evt_{number}.filling");
        publisher.put_object(&name, filling.clone()).await.unwrap();
    }
    // How full it is is looked at every second.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let refused = gateway
        .send("POST", "/default/large", &[], &vec![b'x'; 2 * MIB])
        .await;
    assert_eq!((refused.status, refused.code()), (503, "refused".to_owned()));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(
        gateway.send("POST", "/default/large", &[], b"{}").await.status,
        202
    );
}
