//! Requests through proxies of the test's own, that work, refuse, hang and lie elsewhere.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::connection_profile::ProxyAddress;
use crate::lookup::{Addresses, Lookup, LookupError};
use crate::test_proxy::{LOGIN, Manner, TestProxy};
use crate::test_server::{Script, TestServer};
use crate::{
    AddressPolicy, AttemptResult, ConnectionProfile, ErrorCode, OutboundClient, OutboundLimits,
    OutboundProxy, OutboundRequest,
};

/// Long enough that only a hanging part of the test could meet it.
const PATIENT_MS: u64 = 30_000;
/// For exchanges that never end.
const SHORT_MS: u64 = 300;

/// `hook.example` and `proxy.example` are this machine, `inside.example` is a private address, `both.example`
/// has two, of which only the second answers.
struct Names;

impl Lookup for Names {
    fn lookup(&self, name: String) -> BoxFuture<'static, Addresses> {
        let addresses: &[[u8; 4]] = match name.as_str() {
            "hook.example" | "proxy.example" => &[[127, 0, 0, 1]],
            "both.example" => &[[127, 0, 0, 9], [127, 0, 0, 1]],
            "inside.example" => &[[10, 0, 0, 1]],
            _ => &[],
        };
        let found: Vec<IpAddr> = addresses.iter().map(|octets| IpAddr::from(*octets)).collect();
        async move {
            match found.is_empty() {
                true => Err(LookupError::Empty(name)),
                false => Ok(found),
            }
        }
        .boxed()
    }
}

fn client(proxy: Option<OutboundProxy>) -> OutboundClient {
    let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().expect("a network")]);
    OutboundClient::with_parts(policy, OutboundLimits::default(), Arc::new(Names), proxy).expect("a client")
}

fn through(url: String, login: Option<(&str, &str)>) -> Option<Arc<ConnectionProfile>> {
    let proxy = ProxyAddress {
        url,
        credentials: login.map(|(name, password)| (name.to_owned(), password.to_owned())),
    };
    Some(Arc::new(ConnectionProfile {
        proxy: Some(proxy),
        ..ConnectionProfile::default()
    }))
}

fn post(url: &str, timeout_ms: u64, connection: Option<Arc<ConnectionProfile>>) -> OutboundRequest {
    let mut request = OutboundRequest::new("POST", url, Bytes::from_static(b"{}"), timeout_ms);
    request.connection = connection;
    request
}

fn code(result: &AttemptResult) -> Option<ErrorCode> {
    result.error.as_ref().map(|error| error.code)
}

#[tokio::test]
async fn a_request_goes_through_a_proxy_to_the_address_that_was_checked() {
    for (scheme, manner, login) in [
        ("http", Manner::Http, None),
        ("http", Manner::HttpWithLogin, Some(LOGIN)),
        ("socks5", Manner::Socks, None),
        ("socks5", Manner::Socks, Some(LOGIN)),
        ("socks5", Manner::SocksWithLogin, Some(LOGIN)),
    ] {
        let server = TestServer::start(Script::answer("200 OK", "", b"")).await;
        let proxy = TestProxy::start(manner).await;
        let connection = through(
            format!("{scheme}://proxy.example:{}", proxy.address.port()),
            login,
        );
        let (client, port) = (client(None), server.address.port());
        let url = format!("http://hook.example:{port}/a?b=1");
        for _ in 0..2 {
            let result = client.send(&post(&url, PATIENT_MS, connection.clone())).await;
            assert!(result.is_success(), "{scheme}: {result:?}");
        }
        let probe = client.probe_connect(&url, connection.as_ref(), PATIENT_MS).await;
        assert_eq!(probe.error, None, "{scheme}");
        // The second request used the first one's connection, and the proxy never heard the name.
        assert_eq!(
            proxy.asked(),
            [format!("127.0.0.1:{port}"), format!("127.0.0.1:{port}")]
        );
        let request = server.seen(|seen| seen.requests[0].clone());
        assert!(request.starts_with("POST /a?b=1 HTTP/1.1\r\n"), "{request}");
        assert!(
            request.contains(&format!("host: hook.example:{port}\r\n")),
            "{request}"
        );
        assert!(!request.contains("roxy"), "{request}");
    }
}

#[tokio::test]
async fn a_proxy_s_failures_are_its_own() {
    use ErrorCode::{Connect, Proxy};
    for (scheme, manner, expected, words) in [
        ("http", Manner::HttpWithLogin, Proxy, "asks for credentials"),
        ("http", Manner::HttpStatus(403), Proxy, "it answered 403"),
        ("http", Manner::HttpStatus(503), Proxy, "it answered 503"),
        (
            "http",
            Manner::HttpStatus(504),
            Connect,
            "could not reach the receiver",
        ),
        ("http", Manner::Close, Proxy, "the proxy"),
        (
            "http",
            Manner::Hang,
            Proxy,
            "no connection through the proxy within 300 ms",
        ),
        ("socks5", Manner::SocksWithLogin, Proxy, "asks for credentials"),
        ("socks5", Manner::SocksReply(1), Proxy, "it answered 1"),
        ("socks5", Manner::SocksReply(2), Proxy, "rules forbid"),
        ("socks5", Manner::SocksReply(5), Connect, "connection refused"),
        (
            "socks5",
            Manner::Hang,
            Proxy,
            "no connection through the proxy within 300 ms",
        ),
        ("socks5", Manner::Close, Proxy, "broke"),
    ] {
        let proxy = TestProxy::start(manner).await;
        let connection = through(format!("{scheme}://{}", proxy.address), None);
        let timeout_ms = if manner == Manner::Hang {
            SHORT_MS
        } else {
            PATIENT_MS
        };
        let client = client(None);
        let request = post("http://hook.example:9/", timeout_ms, connection.clone());
        let probe = client
            .probe_connect("http://hook.example:9/", connection.as_ref(), timeout_ms)
            .await;
        for result in [client.send(&request).await, probe] {
            assert_eq!(code(&result), Some(expected), "{scheme} {words}: {result:?}");
            assert!(
                result.error.expect("an error").detail.contains(words),
                "{scheme} {words}"
            );
        }
    }
}

#[tokio::test]
async fn wrong_credentials_and_a_proxy_that_is_not_there_are_the_proxy_s() {
    for (scheme, manner) in [
        ("http", Manner::HttpWithLogin),
        ("socks5", Manner::SocksWithLogin),
    ] {
        let proxy = TestProxy::start(manner).await;
        let connection = through(format!("{scheme}://{}", proxy.address), Some(("user", "hunter2")));
        let result = client(None)
            .send(&post("http://hook.example:9/", PATIENT_MS, connection))
            .await;
        let error = result.error.expect("an error");
        assert_eq!(error.code, ErrorCode::Proxy);
        assert!(error.detail.contains("doesn't take the credentials"), "{error}");
        assert!(!error.detail.contains("hunter2"), "{error}");
    }
    for url in ["http://127.0.0.1:1", "socks5://nowhere.example:1"] {
        let connection = through(url.to_owned(), None);
        let result = client(None)
            .send(&post("http://hook.example:9/", PATIENT_MS, connection))
            .await;
        assert_eq!(code(&result), Some(ErrorCode::Proxy), "{result:?}");
    }
}

#[tokio::test]
async fn a_proxy_is_no_way_around_the_guard() {
    let proxy = TestProxy::start(Manner::Http).await;
    let connection = through(format!("http://{}", proxy.address), None);
    for host in [
        "inside.example",
        "169.254.169.254",
        "0xa9fea9fe",
        "[::ffff:10.0.0.1]",
    ] {
        let request = post(&format!("http://{host}/"), PATIENT_MS, connection.clone());
        let result = client(None).send(&request).await;
        assert_eq!(
            code(&result),
            Some(ErrorCode::AddressRefused),
            "{host}: {result:?}"
        );
    }
    assert_eq!(proxy.asked(), [""; 0]);
    // Nor is its own address anything but a receiver's.
    for url in [
        "http://inside.example:3128",
        "socks5://10.0.0.1",
        "socks5://0x0a000001:1080",
    ] {
        let connection = through(url.to_owned(), None);
        let result = client(None)
            .send(&post("http://hook.example:9/", PATIENT_MS, connection))
            .await;
        assert_eq!(
            code(&result),
            Some(ErrorCode::AddressRefused),
            "{url}: {result:?}"
        );
    }
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_next_address_where_it_can_not_reach_one() {
    let server = TestServer::start(Script::answer("200 OK", "", b"")).await;
    let proxy = TestProxy::start(Manner::SocksReply(4)).await;
    let connection = through(format!("socks5://{}", proxy.address), None);
    let port = server.address.port();
    let url = format!("http://both.example:{port}/");
    let result = client(None).send(&post(&url, PATIENT_MS, connection)).await;
    assert_eq!(code(&result), Some(ErrorCode::Connect), "{result:?}");
    assert_eq!(
        proxy.asked(),
        [format!("127.0.0.9:{port}"), format!("127.0.0.1:{port}")]
    );
}

#[tokio::test]
async fn the_installation_s_proxy_is_for_all_but_its_exceptions() {
    let server = TestServer::start(Script::answer("200 OK", "", b"")).await;
    let proxy = TestProxy::start(Manner::HttpWithLogin).await;
    let url = format!("http://user:pass%3Aword@{}", proxy.address);
    let shared = OutboundProxy::parse(&url, "hook.example", false).expect("a proxy");
    let client = client(Some(shared));
    let port = server.address.port();
    for (host, asked) in [("hook.example", 0), ("127.0.0.1", 1)] {
        let result = client
            .send(&post(&format!("http://{host}:{port}/"), PATIENT_MS, None))
            .await;
        assert!(result.is_success(), "{host}: {result:?}");
        assert_eq!(proxy.asked().len(), asked, "{host}");
    }
    // A destination's own proxy stands before it.
    let own = TestProxy::start(Manner::Socks).await;
    let connection = through(format!("socks5://{}", own.address), None);
    let request = post(&format!("http://127.0.0.1:{port}/"), PATIENT_MS, connection);
    assert!(client.send(&request).await.is_success());
    assert_eq!((proxy.asked().len(), own.asked().len()), (1, 1));
}

#[tokio::test]
async fn only_the_installation_s_proxy_may_resolve_names() {
    for (scheme, manner) in [
        ("http", Manner::HttpStatus(403)),
        ("socks5", Manner::SocksReply(2)),
    ] {
        let proxy = TestProxy::start(manner).await;
        let shared =
            OutboundProxy::parse(&format!("{scheme}://{}", proxy.address), "", true).expect("a proxy");
        let client = client(Some(shared));
        client
            .send(&post("http://known-to-the-proxy.example:81/", PATIENT_MS, None))
            .await;
        // What is written as an address is checked all the same.
        let result = client.send(&post("http://10.0.0.1/", PATIENT_MS, None)).await;
        assert_eq!(code(&result), Some(ErrorCode::AddressRefused), "{result:?}");
        assert_eq!(proxy.asked(), ["known-to-the-proxy.example:81"], "{scheme}");
    }
}
