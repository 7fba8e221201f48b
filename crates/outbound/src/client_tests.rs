//! The client against real sockets on loopback.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::lookup::{Addresses, Lookup, LookupError, SystemLookup};
use crate::test_server::{Script, TestServer};
use crate::{
    AddressPolicy, AttemptResult, ErrorCode, OutboundClient, OutboundLimits, OutboundRequest,
    RESPONSE_BODY_KEPT_BYTES, SendCheck, Withheld,
};

/// Long enough that only a hanging part of the test could meet it.
const PATIENT_MS: u64 = 30_000;
/// For exchanges that never end.
const SHORT_MS: u64 = 100;

/// Gives one answer after the other, the last one for ever.
struct ScriptedLookup(Mutex<VecDeque<Vec<&'static str>>>);

impl ScriptedLookup {
    fn new(answers: &[&[&'static str]]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(
            answers.iter().map(|answer| answer.to_vec()).collect(),
        )))
    }
}

impl Lookup for ScriptedLookup {
    fn lookup(&self, name: String) -> BoxFuture<'static, Addresses> {
        let mut answers = self.0.lock().expect("not poisoned");
        let answer = match answers.len() {
            0 | 1 => answers.front().cloned(),
            _ => answers.pop_front(),
        };
        let parse = |address: &&str| -> IpAddr { address.parse().expect("an address") };
        let missing = LookupError::Failed {
            name,
            reason: "no such host".to_owned(),
        };
        let answer = answer
            .map(|found| found.iter().map(parse).collect())
            .ok_or(missing);
        async move { answer }.boxed()
    }
}

fn allow_loopback() -> AddressPolicy {
    AddressPolicy::new(vec!["127.0.0.0/8".parse().expect("a network")])
}

fn client(policy: AddressPolicy, lookup: Arc<dyn Lookup>) -> OutboundClient {
    let limits = OutboundLimits::default();
    OutboundClient::with_parts(policy, limits, lookup, None).expect("a client")
}

fn local_client() -> OutboundClient {
    client(allow_loopback(), Arc::new(SystemLookup))
}

fn post(url: &str, timeout_ms: u64) -> OutboundRequest {
    OutboundRequest::new("POST", url, Bytes::from_static(b"{\"a\":1}"), timeout_ms)
}

fn code(result: &AttemptResult) -> Option<ErrorCode> {
    result.error.as_ref().map(|error| error.code)
}

fn detail(result: &AttemptResult) -> &str {
    result.error.as_ref().map_or("", |error| error.detail.as_str())
}

#[tokio::test]
async fn a_request_arrives_as_given_and_its_answer_is_kept() {
    let server = TestServer::start(Script::answer("200 OK", "X-Answer: yes\r\n", b"thanks")).await;
    let mut request = post(&server.url("/hook?a=1"), PATIENT_MS);
    request.headers.push(("X-Team".to_owned(), "a".to_owned()));
    let result = local_client().send(&request).await;
    assert!(result.is_success(), "{result:?}");
    let response = result.response.expect("an answer");
    assert_eq!((response.status, &response.body[..]), (200, &b"thanks"[..]));
    assert!(!response.body_truncated);
    assert_eq!(response.header("x-answer"), Some("yes"));
    let request = server.seen(|seen| seen.requests[0].clone());
    assert!(request.starts_with("POST /hook?a=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("x-team: a\r\n"), "{request}");
    assert!(request.contains("content-length: 7\r\n"), "{request}");
    let agent = format!("user-agent: Hookrail/{}\r\n", env!("CARGO_PKG_VERSION"));
    assert!(request.contains(&agent), "{request}");
    assert!(!request.contains("accept-encoding"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
}

#[tokio::test]
async fn an_error_status_is_an_answer_and_not_an_error() {
    let server = TestServer::start(Script::answer("503 Busy", "Retry-After: 7\r\n", b"")).await;
    let result = local_client().send(&post(&server.url("/"), PATIENT_MS)).await;
    assert_eq!((result.status(), code(&result)), (Some(503), None));
    assert!(!result.is_success());
    assert_eq!(
        result.response.expect("an answer").header("retry-after"),
        Some("7")
    );
}

#[tokio::test]
async fn a_redirect_is_given_back_and_not_followed() {
    let headers = "Location: http://169.254.169.254/\r\n";
    let server = TestServer::start(Script::answer("307 Moved", headers, b"")).await;
    let result = local_client().send(&post(&server.url("/"), PATIENT_MS)).await;
    assert_eq!((result.status(), code(&result)), (Some(307), None));
    assert_eq!(server.seen(|seen| seen.requests.len()), 1);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_time_out() {
    let server = TestServer::start(Script::Stall(Vec::new())).await;
    let result = local_client().send(&post(&server.url("/"), SHORT_MS)).await;
    assert_eq!((result.status(), code(&result)), (None, Some(ErrorCode::Timeout)));
    assert_eq!(detail(&result), "no answer within 100 ms");
}

#[tokio::test]
async fn a_body_that_does_not_end_is_a_time_out_with_what_came() {
    let begun = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
    let server = TestServer::start(Script::Stall(begun)).await;
    let result = local_client().send(&post(&server.url("/"), SHORT_MS)).await;
    assert_eq!(
        (result.status(), code(&result)),
        (Some(200), Some(ErrorCode::Timeout))
    );
    assert!(!result.is_success());
    assert_eq!(&result.response.expect("a head").body[..], b"half");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_with_what_came() {
    let begun = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
    let server = TestServer::start(Script::Close(begun)).await;
    let result = local_client().send(&post(&server.url("/"), PATIENT_MS)).await;
    assert_eq!(
        (result.status(), code(&result)),
        (Some(200), Some(ErrorCode::Body))
    );
    assert_eq!(&result.response.expect("a head").body[..], b"half");
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_a_connect_error() {
    let server = TestServer::start(Script::Close(Vec::new())).await;
    let result = local_client().send(&post(&server.url("/"), PATIENT_MS)).await;
    assert_eq!((result.status(), code(&result)), (None, Some(ErrorCode::Connect)));
    assert_eq!(server.seen(|seen| seen.requests.len()), 1, "it was sent again");
}

#[tokio::test]
async fn only_the_first_16_kib_of_a_body_are_kept() {
    let long = vec![b'x'; RESPONSE_BODY_KEPT_BYTES + 1];
    let server = TestServer::start(Script::answer("200 OK", "", &long)).await;
    let client = local_client();
    let result = client.send(&post(&server.url("/"), PATIENT_MS)).await;
    let response = result.response.expect("an answer");
    assert_eq!(
        (response.body.len(), response.body_truncated),
        (RESPONSE_BODY_KEPT_BYTES, true)
    );
    // It was read to its end, so the connection goes on.
    client.send(&post(&server.url("/"), PATIENT_MS)).await;
    assert_eq!(server.seen(|seen| seen.connections), 1);
}

#[tokio::test]
async fn an_endless_body_is_dropped_and_is_no_failure() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n".to_vec();
    let server = TestServer::start(Script::Stall([head, vec![b'x'; 300_000]].concat())).await;
    let result = local_client().send(&post(&server.url("/"), PATIENT_MS)).await;
    assert!(result.is_success(), "{result:?}");
    assert!(result.response.expect("an answer").body_truncated);
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = TestServer::start(Script::answer("200 OK", "", b"")).await;
    let client = local_client();
    for _ in 0..3 {
        assert!(
            client
                .send(&post(&server.url("/"), PATIENT_MS))
                .await
                .is_success()
        );
    }
    assert_eq!(
        server.seen(|seen| (seen.connections, seen.requests.len())),
        (1, 3)
    );
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_a_connect_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let url = format!("http://{address}/?token=secret");
    let result = local_client().send(&post(&url, PATIENT_MS)).await;
    assert_eq!(code(&result), Some(ErrorCode::Connect));
    assert!(detail(&result).contains("refused"), "{result:?}");
    assert!(!detail(&result).contains("secret"), "{result:?}");
    let probe = local_client().probe_connect(&url, None, PATIENT_MS).await;
    assert_eq!(code(&probe), Some(ErrorCode::Connect));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_dns_error() {
    let client = client(AddressPolicy::default(), ScriptedLookup::new(&[]));
    let result = client.send(&post("https://nowhere.invalid/", PATIENT_MS)).await;
    assert_eq!(code(&result), Some(ErrorCode::Dns));
    assert_eq!(
        detail(&result),
        "nowhere.invalid could not be resolved: no such host"
    );
    let probe = client
        .probe_connect("https://nowhere.invalid/", None, PATIENT_MS)
        .await;
    assert_eq!((code(&probe), detail(&probe)), (code(&result), detail(&result)));
}

#[tokio::test]
async fn the_system_finds_no_address_under_invalid() {
    let client = client(AddressPolicy::default(), Arc::new(SystemLookup));
    let result = client.send(&post("http://nowhere.invalid/", PATIENT_MS)).await;
    assert_eq!(code(&result), Some(ErrorCode::Dns), "{result:?}");
}

#[tokio::test]
async fn tls_to_a_plain_port_is_a_tls_error() {
    for greeting in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("https://{}/", listener.local_addr().expect("bound"));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut hello = [0; 4096];
                let read = stream.read(&mut hello).await.expect("a client hello");
                assert!(read > 0);
                stream.write_all(greeting).await.expect("written");
            }
        });
        let result = local_client().send(&post(&url, PATIENT_MS)).await;
        assert_eq!(code(&result), Some(ErrorCode::Tls), "{result:?}");
        let probe = local_client().probe_connect(&url, None, PATIENT_MS).await;
        assert_eq!(code(&probe), Some(ErrorCode::Tls), "{probe:?}");
    }
}

#[tokio::test]
async fn loopback_is_refused_by_default_in_every_notation() {
    let server = TestServer::start(Script::answer("200 OK", "", b"")).await;
    let client = client(AddressPolicy::default(), Arc::new(SystemLookup));
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "0x7f000001",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "localhost",
    ] {
        let url = format!("http://{host}:{port}/");
        let result = client.send(&post(&url, PATIENT_MS)).await;
        assert_eq!(
            code(&result),
            Some(ErrorCode::AddressRefused),
            "{host}: {result:?}"
        );
        let probe = client.probe_connect(&url, None, PATIENT_MS).await;
        assert_eq!(code(&probe), Some(ErrorCode::AddressRefused), "{host}: {probe:?}");
    }
    assert_eq!(server.seen(|seen| seen.connections), 0);
}

#[tokio::test]
async fn a_name_that_turns_to_loopback_is_refused_when_it_does() {
    let server = TestServer::start(Script::Close(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())).await;
    // 127.0.0.1 stands for the public address here; what it turns to isn't allowed.
    let policy = AddressPolicy::new(vec!["127.0.0.1/32".parse().expect("a network")]);
    let lookup = ScriptedLookup::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = client(policy, lookup);
    let url = format!("http://rebinding.example:{}/", server.address.port());
    assert!(client.send(&post(&url, PATIENT_MS)).await.is_success());
    let result = client.send(&post(&url, PATIENT_MS)).await;
    assert_eq!(code(&result), Some(ErrorCode::AddressRefused), "{result:?}");
    assert!(
        detail(&result).starts_with("rebinding.example resolves to 127.0.0.2"),
        "{result:?}"
    );
    assert_eq!(server.seen(|seen| seen.connections), 1);
}

#[tokio::test]
async fn a_name_with_one_refused_address_is_refused() {
    let lookup = ScriptedLookup::new(&[&["8.8.8.8", "10.0.0.1"]]);
    let result = client(AddressPolicy::default(), lookup)
        .send(&post("http://both.example/", PATIENT_MS))
        .await;
    assert_eq!(code(&result), Some(ErrorCode::AddressRefused), "{result:?}");
}

#[tokio::test]
async fn a_probe_connects_and_sends_nothing() {
    let server = TestServer::start(Script::answer("200 OK", "", b"")).await;
    let result = local_client()
        .probe_connect(&server.url("/"), None, PATIENT_MS)
        .await;
    assert_eq!((result.response, result.error), (None, None));
    server.until(|seen| seen.closed == 1).await;
    assert_eq!(server.seen(|seen| seen.bytes), 0);
}

/// A check that says yes so many times, then no.
fn yes_times(times: usize) -> SendCheck {
    let asked = AtomicUsize::new(0);
    Arc::new(move || asked.fetch_add(1, Ordering::SeqCst) < times)
}

#[tokio::test]
async fn a_request_whose_check_fails_at_the_start_opens_no_connection() {
    let server = TestServer::start(Script::answer("200 OK", "", b"")).await;
    let request = post(&server.url("/"), PATIENT_MS);
    assert_eq!(
        local_client().send_while(&request, yes_times(0)).await,
        Err(Withheld)
    );
    assert_eq!(server.seen(|seen| seen.connections), 0);
}

#[tokio::test]
async fn a_request_whose_check_fails_once_connected_sends_not_one_byte() {
    for (method, body) in [("POST", "{}"), ("POST", ""), ("GET", ""), ("DELETE", "")] {
        let server = TestServer::start(Script::answer("200 OK", "", b"")).await;
        let body = Bytes::from_static(body.as_bytes());
        let request = OutboundRequest::new(method, &server.url("/"), body, PATIENT_MS);
        let result = local_client().send_while(&request, yes_times(1)).await;
        assert_eq!(result, Err(Withheld), "{method}");
        server.until(|seen| seen.closed == 1).await;
        assert_eq!(
            server.seen(|seen| (seen.connections, seen.bytes)),
            (1, 0),
            "{method}"
        );
    }
}

#[tokio::test]
async fn a_request_whose_check_holds_is_sent_as_without_one() {
    for (method, body) in [
        ("POST", "{}"),
        ("POST", ""),
        ("PUT", ""),
        ("GET", ""),
        ("DELETE", ""),
    ] {
        let server = TestServer::start(Script::answer("200 OK", "", b"")).await;
        let body = Bytes::from_static(body.as_bytes());
        let request = OutboundRequest::new(method, &server.url("/"), body, PATIENT_MS);
        let client = local_client();
        let checked = client
            .send_while(&request, Arc::new(|| true))
            .await
            .expect("sent");
        let plain = client.send(&request).await;
        assert!(checked.is_success() && plain.is_success(), "{method}");
        let requests = server.seen(|seen| seen.requests.clone());
        assert_eq!(requests[0], requests[1], "{method}");
        let says_empty = requests[0].contains("content-length: 0\r\n");
        assert_eq!(
            says_empty,
            request.body.is_empty() && method.starts_with('P'),
            "{method}"
        );
        assert_eq!(server.seen(|seen| seen.connections), 1, "{method}");
    }
}
