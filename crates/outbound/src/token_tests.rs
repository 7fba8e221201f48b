//! Access tokens against a token endpoint and an API of the test's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hookrail_domain::destination::{ClientAuth, DestinationAuth};
use hookrail_domain::secret::Secret;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    AddressPolicy, AttemptResult, ErrorCode, OutboundClient, OutboundLimits, OutboundRequest, TokenSource,
};

/// Long enough that only a hanging part of the test could meet it.
const PATIENT_MS: u64 = 30_000;

/// What the token endpoint does.
#[derive(Clone, Copy)]
enum Endpoint {
    /// Gives `t1`, `t2`, …, each for so many seconds, after a moment in which others may ask.
    Gives(u64),
    /// Answers with this status, and with the client's secret in its body.
    Fails(u16),
    /// Never answers.
    Hangs,
}

struct Service {
    endpoint: Endpoint,
    /// Tokens that were asked for.
    given: AtomicUsize,
    /// The number of the first token that the API takes.
    valid_from: AtomicUsize,
    /// Requests to the API that it took, and that it refused.
    taken: AtomicUsize,
    refused: AtomicUsize,
}

async fn start(endpoint: Endpoint) -> (Arc<Service>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let service = Arc::new(Service {
        endpoint,
        given: AtomicUsize::new(0),
        valid_from: AtomicUsize::new(1),
        taken: AtomicUsize::new(0),
        refused: AtomicUsize::new(0),
    });
    let of_all = Arc::clone(&service);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&of_all)));
        }
    });
    (service, url)
}

async fn serve(stream: TcpStream, service: Arc<Service>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let before = head.len();
            if stream.read_line(&mut head).await.ok()? == 0 {
                return None;
            }
            if let Some(value) = head[before..].strip_prefix("content-length: ") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let answer = if head.starts_with("POST /token ") {
            service.token().await
        } else {
            service.api(&head)
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

fn answer(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl Service {
    async fn token(&self) -> String {
        let number = self.given.fetch_add(1, Ordering::SeqCst) + 1;
        match self.endpoint {
            Endpoint::Gives(life_s) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                answer(
                    200,
                    &format!(r#"{{"access_token":"t{number}","token_type":"Bearer","expires_in":{life_s}}}"#),
                )
            }
            Endpoint::Fails(status) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                answer(
                    status,
                    r#"{"error":"invalid_client","error_description":"the-secret"}"#,
                )
            }
            Endpoint::Hangs => std::future::pending().await,
        }
    }

    fn api(&self, head: &str) -> String {
        let number = head
            .split("authorization: Bearer t")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        let is_valid = number.is_some_and(|number: usize| number >= self.valid_from.load(Ordering::SeqCst));
        let count = if is_valid { &self.taken } else { &self.refused };
        count.fetch_add(1, Ordering::SeqCst);
        answer(if is_valid { 200 } else { 401 }, "")
    }

    fn counts(&self) -> (usize, usize, usize) {
        let read = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        (read(&self.given), read(&self.taken), read(&self.refused))
    }
}

fn client() -> OutboundClient {
    let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().expect("a network")]);
    OutboundClient::new(policy, OutboundLimits::default()).expect("a client")
}

fn request(url: &str, secret: &str, timeout_ms: u64) -> OutboundRequest {
    let auth = DestinationAuth::Oauth2ClientCredentials {
        token_url: format!("{url}/token"),
        client_id: "c".into(),
        client_secret: Secret::new(secret),
        scopes: Vec::new(),
        audience: None,
        client_auth: ClientAuth::Basic,
    };
    let mut request = OutboundRequest::new(
        "POST",
        &format!("{url}/api"),
        Bytes::from_static(b"{}"),
        timeout_ms,
    );
    request.token = TokenSource::of(&auth, 0).expect("a source").map(Arc::new);
    request
}

async fn send_many(client: &OutboundClient, request: &OutboundRequest, count: usize) -> Vec<AttemptResult> {
    futures::future::join_all((0..count).map(|_| client.send(request))).await
}

#[tokio::test]
async fn fifty_deliveries_at_a_time_get_one_token() {
    let (service, url) = start(Endpoint::Gives(3600)).await;
    let (client, request) = (client(), request(&url, "s", PATIENT_MS));
    for result in send_many(&client, &request, 50).await {
        assert!(result.is_success(), "{result:?}");
    }
    assert_eq!(service.counts(), (1, 50, 0));
    // Another client's token is another one; a clone has the same.
    let other = self::request(&url, "another", PATIENT_MS);
    assert!(client.clone().send(&request).await.is_success());
    assert!(client.send(&other).await.is_success());
    assert_eq!(service.counts(), (2, 52, 0));
}

#[tokio::test]
async fn a_token_that_ends_is_got_again_before_it_does() {
    let (service, url) = start(Endpoint::Gives(1)).await;
    let (client, request) = (client(), request(&url, "s", PATIENT_MS));
    assert!(client.send(&request).await.is_success());
    tokio::time::sleep(Duration::from_millis(950)).await;
    for result in send_many(&client, &request, 10).await {
        assert!(result.is_success(), "{result:?}");
    }
    assert_eq!(service.counts(), (2, 11, 0));
}

#[tokio::test]
async fn a_revoked_token_is_renewed_once_for_all_that_had_it() {
    let (service, url) = start(Endpoint::Gives(3600)).await;
    let (client, request) = (client(), request(&url, "s", PATIENT_MS));
    assert!(client.send(&request).await.is_success());
    service.valid_from.store(2, Ordering::SeqCst);
    for result in send_many(&client, &request, 50).await {
        assert!(result.is_success(), "{result:?}");
    }
    assert_eq!(service.counts(), (2, 51, 50));
}

#[tokio::test]
async fn a_receiver_that_takes_no_token_does_not_make_the_endpoint_suffer() {
    let (service, url) = start(Endpoint::Gives(3600)).await;
    service.valid_from.store(usize::MAX, Ordering::SeqCst);
    let (client, request) = (client(), request(&url, "s", PATIENT_MS));
    for _ in 0..5 {
        assert_eq!(client.send(&request).await.status(), Some(401));
    }
    // The first attempt renewed once; the four after it know that it is of no use.
    assert_eq!(service.counts(), (2, 0, 6));
}

#[tokio::test]
async fn a_token_endpoint_that_fails_is_said_without_the_secret() {
    for (endpoint, timeout_ms, words) in [
        (
            Endpoint::Fails(401),
            PATIENT_MS,
            "the token endpoint answered 401, invalid_client",
        ),
        (
            Endpoint::Fails(500),
            PATIENT_MS,
            "the token endpoint answered 500",
        ),
        (Endpoint::Hangs, 300, "no access token"),
    ] {
        let (service, url) = start(endpoint).await;
        let (client, request) = (client(), request(&url, "the-secret", timeout_ms));
        for result in send_many(&client, &request, 20).await {
            let error = result.error.expect("an error");
            assert_eq!(error.code, ErrorCode::Auth, "{error}");
            assert!(
                error.detail.contains(words) && !error.detail.contains("the-secret"),
                "{error}"
            );
        }
        // Those that waited for the first one's try have its failure, unless it ended with their time.
        if timeout_ms == PATIENT_MS {
            assert_eq!(service.counts(), (1, 0, 0), "{words}");
        }
    }
}

#[tokio::test]
async fn a_token_s_url_is_guarded_as_any() {
    let (_, url) = start(Endpoint::Gives(3600)).await;
    let mut asked = request("http://10.0.0.1", "s", PATIENT_MS);
    asked.url = format!("{url}/api");
    let error = client().send(&asked).await.error.expect("an error");
    assert_eq!(error.code, ErrorCode::AddressRefused, "{error}");
    let mut asked = request("http://127.0.0.1:1", "s", PATIENT_MS);
    asked.url = format!("{url}/api");
    let error = client().send(&asked).await.error.expect("an error");
    assert_eq!(error.code, ErrorCode::Auth, "{error}");
    assert!(error.detail.contains("refused"), "{error}");
}
