//! A name server that changes its mind: whatever it answers, and whenever, no connection goes where the guard
//! doesn't let one go.

use std::sync::Arc;

use bytes::Bytes;

use crate::test_dns::TestDns;
use crate::test_proxy::{Manner, TestProxy};
use crate::test_server::{Script, TestServer};
use crate::{
    AddressPolicy, AttemptResult, ConnectionProfile, ErrorCode, OutboundClient, OutboundLimits,
    OutboundRequest,
};

/// Long enough that only a hanging part of the test could meet it.
const PATIENT_MS: u64 = 30_000;
/// Stands for a public address: it is the one that is allowed here.
const PUBLIC: &str = "127.0.0.2";

fn client(dns: &TestDns) -> OutboundClient {
    let policy = AddressPolicy::new(vec!["127.0.0.2/32".parse().expect("a network")]);
    OutboundClient::with_parts(policy, OutboundLimits::default(), dns.lookup(), None).expect("a client")
}

async fn send(client: &OutboundClient, url: &str) -> AttemptResult {
    client
        .send(&OutboundRequest::new(
            "POST",
            url,
            Bytes::from_static(b"{}"),
            PATIENT_MS,
        ))
        .await
}

fn is_refused(result: &AttemptResult) -> bool {
    result
        .error
        .as_ref()
        .is_some_and(|error| error.code == ErrorCode::AddressRefused)
}

/// A receiver on 127.0.0.1, to which nothing may ever come. The name's first answer is a public address, at
/// which nobody listens on this port.
#[tokio::test]
async fn a_name_that_turns_to_loopback_never_gets_there() {
    let inside = TestServer::start(Script::answer("200 OK", "", b"")).await;
    let dns = TestDns::start(&[("turns.example", &[&[PUBLIC], &["127.0.0.1"]])]);
    let client = client(&dns);
    let url = format!("http://turns.example:{}/", inside.address.port());
    // The address that was checked is the one that is connected to: the name isn't asked for in between.
    let first = send(&client, &url).await;
    assert_eq!(first.error.map(|error| error.code), Some(ErrorCode::Connect));
    assert_eq!(dns.asked(), ["turns.example"]);
    for _ in 0..5 {
        assert!(is_refused(&send(&client, &url).await));
        assert!(is_refused(&client.probe_connect(&url, None, PATIENT_MS).await));
    }
    assert_eq!(inside.seen(|seen| seen.connections), 0);
    assert_eq!(dns.asked().len(), 11);
}

#[tokio::test]
async fn a_name_with_one_private_address_is_refused_wherever_it_stands() {
    let inside = TestServer::start(Script::answer("200 OK", "", b"")).await;
    let several: [&[&str]; 4] = [
        &[PUBLIC, "127.0.0.1"],
        &["127.0.0.1", PUBLIC],
        &[PUBLIC, PUBLIC, PUBLIC, "10.0.0.1"],
        &["169.254.169.254", PUBLIC],
    ];
    let dns = TestDns::start(&[("several.example", &several)]);
    let client = client(&dns);
    let url = format!("http://several.example:{}/", inside.address.port());
    for addresses in several {
        let result = send(&client, &url).await;
        assert!(is_refused(&result), "{addresses:?}: {result:?}");
    }
    assert_eq!(inside.seen(|seen| seen.connections), 0);
}

#[tokio::test]
async fn a_name_that_answers_in_turns_is_judged_each_time() {
    let inside = TestServer::start(Script::answer("200 OK", "", b"")).await;
    let turns: Vec<&[&str]> = (0..20)
        .map(|n| if n % 2 == 0 { &[PUBLIC][..] } else { &["127.0.0.1"] })
        .collect();
    let dns = TestDns::start(&[("turns.example", &turns)]);
    let client = client(&dns);
    let url = format!("http://turns.example:{}/", inside.address.port());
    for n in 0..20 {
        let result = send(&client, &url).await;
        assert_eq!(is_refused(&result), n % 2 == 1, "{n}: {result:?}");
    }
    assert_eq!(inside.seen(|seen| seen.connections), 0);
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_an_answer_and_nothing_more() {
    let inside = TestServer::start(Script::answer("200 OK", "", b"")).await;
    let location = format!("Location: {}\r\n", inside.url("/"));
    for status in [
        "301 Moved",
        "302 Found",
        "303 See",
        "307 Temporary",
        "308 Permanent",
    ] {
        let outside = TestServer::start(Script::answer(status, &location, b"")).await;
        let policy = AddressPolicy::new(vec!["127.0.0.1/32".parse().expect("a network")]);
        let client = OutboundClient::new(policy, OutboundLimits::default()).expect("a client");
        let result = send(&client, &outside.url("/")).await;
        assert_eq!(result.status(), status[..3].parse().ok());
        assert_eq!(outside.seen(|seen| seen.requests.len()), 1);
    }
    assert_eq!(inside.seen(|seen| seen.connections), 0);
}

#[tokio::test]
async fn a_proxy_is_asked_for_what_the_name_was_when_it_was_checked() {
    let proxy = TestProxy::start(Manner::HttpStatus(403)).await;
    let dns = TestDns::start(&[
        ("turns.example", &[&[PUBLIC], &["127.0.0.1"]]),
        ("proxy.example", &[&[PUBLIC]]),
    ]);
    let proxy_address = crate::connection_profile::ProxyAddress {
        url: format!("http://127.0.0.1:{}", proxy.address.port()),
        credentials: None,
    };
    let profile = ConnectionProfile {
        proxy: Some(proxy_address),
        ..ConnectionProfile::default()
    };
    // The proxy itself stands on an address that is allowed here.
    let policy = AddressPolicy::new(vec![
        "127.0.0.2/32".parse().expect("a network"),
        "127.0.0.1/32".parse().expect("a network"),
    ]);
    let client =
        OutboundClient::with_parts(policy, OutboundLimits::default(), dns.lookup(), None).expect("a client");
    let mut request = OutboundRequest::new("POST", "http://turns.example:81/", Bytes::new(), PATIENT_MS);
    request.connection = Some(Arc::new(profile));
    client.send(&request).await;
    assert_eq!(proxy.asked(), ["127.0.0.2:81"]);
    assert_eq!(dns.asked(), ["turns.example"]);
}
