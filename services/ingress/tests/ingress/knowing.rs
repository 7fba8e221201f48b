//! Senders that show a password, a token or a signed token; addresses and rates; a listener with TLS.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hookrail_domain::rate_limit::RateLimit;
use hookrail_domain::secret::Secret;
use hookrail_domain::source::{SourceAuth, SourceSpec};
use hookrail_ingress::IngressSettings;
use hookrail_runtime::clock::now_ms;
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::gateway::{Gateway, spec};

fn known_by(name: &str, auth: SourceAuth) -> SourceSpec {
    SourceSpec { auth, ..spec(name) }
}

/// Sends with this `Authorization`, and checks status and challenge.
async fn check(gateway: &Gateway, name: &str, shown: &str, status: u16, challenge: Option<&str>) {
    let headers = [("authorization", shown)];
    let headers = if shown.is_empty() { &[][..] } else { &headers };
    let answer = gateway
        .send("POST", &format!("/default/{name}"), headers, b"{}")
        .await;
    assert_eq!(answer.status, status, "{name} {shown:?}");
    assert_eq!(answer.header("www-authenticate"), challenge, "{name} {shown:?}");
    if status == 202 {
        let event = gateway.stored(&answer.event_id()).await;
        assert!(
            event.headers.iter().all(|(name, _)| name != "authorization"),
            "a credential is kept"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_or_a_token_lets_in_and_anything_else_gets_one_answer() {
    let basic = SourceAuth::Basic {
        username: "erp".to_owned(),
        password: Secret::new("pass:wörd"),
    };
    let bearer = SourceAuth::Bearer {
        token: Secret::new("a-token"),
    };
    let gateway = Gateway::start(vec![known_by("basic", basic), known_by("bearer", bearer)]).await;
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let challenge = Some(r#"Basic realm="webhooks", charset="UTF-8""#);
    check(&gateway, "basic", &basic("erp:pass:wörd"), 202, None).await;
    check(
        &gateway,
        "basic",
        &basic("erp:pass:wörd").replace("Basic", "bAsic"),
        202,
        None,
    )
    .await;
    for wrong in [
        "",
        "Basic ?",
        "Bearer a-token",
        &basic("erp:pass"),
        &basic("erp2:pass:wörd"),
    ] {
        check(&gateway, "basic", wrong, 401, challenge).await;
    }
    check(&gateway, "bearer", "Bearer a-token", 202, None).await;
    for wrong in ["", "Bearer", "Bearer b-token", "Bearer a-token2", "a-token"] {
        check(&gateway, "bearer", wrong, 401, Some(r#"Bearer realm="webhooks""#)).await;
    }
}

/// Publishes a set of keys; counts how often it is asked for. `answers` are given in turn, the last one
/// for ever.
fn publish(answers: Vec<String>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let number = counter.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            let body = &answers[number];
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    (url, asked)
}

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn published(id: &str, pair: &Ed25519KeyPair) -> String {
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{id}","x":"{x}"}}"#)
}

fn token(id: &str, pair: &Ed25519KeyPair, claims: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"EdDSA","kid":"{id}"}}"#));
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes()));
    format!("Bearer {message}.{signature}")
}

fn jwt(url: &str) -> SourceAuth {
    SourceAuth::Jwt {
        jwks_url: Some(url.to_owned()),
        public_key: None,
        secret: None,
        issuer: Some("https://login.example.com".to_owned()),
        audience: Some("hookrail".to_owned()),
    }
}

fn claims(audience: &str, seconds_left: i64) -> String {
    let exp = now_ms() / 1000 + seconds_left;
    format!(r#"{{"iss":"https://login.example.com","aud":"{audience}","exp":{exp}}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_signed_by_a_published_key_lets_in_and_the_keys_are_fetched_once() {
    let (known, unknown) = (pair(1), pair(2));
    let (url, asked) = publish(vec![format!(r#"{{"keys":[{}]}}"#, published("k1", &known))]);
    let gateway = Gateway::start(vec![known_by("tokens", jwt(&url))]).await;
    let challenge = Some(r#"Bearer realm="webhooks""#);
    for _ in 0..20 {
        let good = token("k1", &known, &claims("hookrail", 60));
        check(&gateway, "tokens", &good, 202, None).await;
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let late = token("k1", &known, &claims("hookrail", -600));
    check(&gateway, "tokens", &late, 401, challenge).await;
    let elsewhere = token("k1", &known, &claims("other", 60));
    check(&gateway, "tokens", &elsewhere, 401, challenge).await;
    // Tokens that name unknown keys have the keys fetched now and then, not each time.
    for _ in 0..20 {
        let forged = token("k2", &unknown, &claims("hookrail", 60));
        check(&gateway, "tokens", &forged, 401, challenge).await;
    }
    assert!(asked.load(Ordering::SeqCst) <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_keys_can_t_be_fetched_nobody_is_refused_for_good() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    drop(listener);
    let gateway = Gateway::start(vec![known_by("tokens", jwt(&url))]).await;
    let shown = token("k1", &pair(1), &claims("hookrail", 60));
    let headers = [("authorization", shown.as_str())];
    let answer = gateway.send("POST", "/default/tokens", &headers, b"{}").await;
    assert_eq!(
        (answer.status, answer.code()),
        (503, "keys-unavailable".to_owned())
    );
    assert!(answer.header("retry-after").is_some());
    assert_eq!(gateway.events().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_count_as_a_trusted_proxy_says_and_others_are_refused() {
    let inside = SourceSpec {
        allow_ips: vec!["192.0.2.0/24".parse().unwrap()],
        ..spec("inside")
    };
    let settings = IngressSettings {
        ingress_trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..IngressSettings::default()
    };
    let gateway = Gateway::start_set(settings, vec![inside.clone()]).await;
    let send = |address: &'static str| gateway.send("POST", "/default/inside", forwarded(address), b"{}");
    let answer = send("192.0.2.7").await;
    assert_eq!(answer.status, 202);
    let event = gateway.stored(&answer.event_id()).await;
    assert_eq!(event.remote_addr.as_deref(), Some("192.0.2.7"));
    let answer = send("192.0.3.7").await;
    assert_eq!(
        (answer.status, answer.code()),
        (403, "address-refused".to_owned())
    );
    // Without a proxy that is trusted the header is anybody's claim.
    let gateway = Gateway::start(vec![inside]).await;
    let answer = gateway
        .send("POST", "/default/inside", forwarded("192.0.2.7"), b"{}")
        .await;
    assert_eq!(answer.status, 403);
}

fn forwarded(address: &'static str) -> &'static [(&'static str, &'static str)] {
    match address {
        "192.0.2.7" => &[("x-forwarded-for", "192.0.2.7")],
        _ => &[("x-forwarded-for", "192.0.3.7")],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_and_a_client_have_so_many_requests_a_second() {
    let slow = SourceSpec {
        rate_limit: Some(RateLimit {
            per_second: 0.01,
            burst: 3,
        }),
        ..spec("slow")
    };
    let gateway = Gateway::start(vec![slow, spec("other")]).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let answer = gateway.send("POST", "/default/slow", &[], b"{}").await;
        if answer.status == 429 {
            assert_eq!(answer.code(), "rate-limited");
            let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((50..=100).contains(&wait), "{wait}");
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [202, 202, 202, 429, 429]);
    assert_eq!(
        gateway.send("POST", "/default/other", &[], b"{}").await.status,
        202
    );
    let settings = IngressSettings {
        ingress_client_rate: 1,
        ..IngressSettings::default()
    };
    let gateway = Gateway::start_set(settings, vec![spec("orders")]).await;
    let first = gateway.send("POST", "/default/orders", &[], b"{}").await;
    let second = gateway.send("POST", "/default/orders", &[], b"{}").await;
    assert_eq!((first.status, second.status), (202, 429));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_answered_and_nothing_is_stored() {
    let gateway = Gateway::start(vec![spec("orders")]).await;
    let long = "x".repeat(60_000);
    let answer = gateway
        .send("POST", "/default/orders", &[("x-long", &long)], b"{}")
        .await;
    assert_eq!((answer.status, answer.code()), (431, "head-too-large".to_owned()));
    let many: Vec<String> = (0..200).map(|number| format!("x-{number}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
    let answer = gateway.send("POST", "/default/orders", &many, b"{}").await;
    assert_eq!(answer.status, 431);
    assert_eq!(gateway.events().await, 0);
}
