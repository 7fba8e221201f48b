//! TLS and HTTP/2 against a real receiver on loopback with a certificate of its own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::lookup::{Addresses, Lookup};
use crate::{
    AddressPolicy, ConnectionProfile, ErrorCode, OutboundClient, OutboundLimits, OutboundRequest, Withheld,
};

const AUTHORITY: &[u8] = include_bytes!("../testdata/authority.der");
const SERVER: &[u8] = include_bytes!("../testdata/server.der");
const SERVER_KEY: &[u8] = include_bytes!("../testdata/server-key.der");
/// Long enough that only a hanging part of the test could meet it.
const PATIENT_MS: u64 = 30_000;

/// Every name is this machine.
struct Loopback;

impl Lookup for Loopback {
    fn lookup(&self, _: String) -> BoxFuture<'static, Addresses> {
        async { Ok(vec![[127, 0, 0, 1].into()]) }.boxed()
    }
}

fn client() -> OutboundClient {
    let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().expect("a network")]);
    OutboundClient::with_parts(policy, OutboundLimits::default(), Arc::new(Loopback), None).expect("a client")
}

/// Trusts the authority that signed the receiver's certificate.
fn trusting() -> Option<Arc<ConnectionProfile>> {
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, AUTHORITY);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n");
    let mut profile = ConnectionProfile::default();
    profile.tls.ca = Some(pem);
    Some(Arc::new(profile))
}

fn acceptor() -> TlsAcceptor {
    let chain = vec![CertificateDer::from(SERVER)];
    let key = PrivateKeyDer::try_from(SERVER_KEY).expect("a PKCS #8 key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions that the provider has")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate with its key");
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Whole bodies of requests that came over HTTP/2, with their methods.
type Requests = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

async fn start_receiver() -> (SocketAddr, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(receive(stream, Arc::clone(&seen)));
        }
    });
    (address, requests)
}

async fn receive(stream: TcpStream, requests: Requests) -> Option<()> {
    let tls = acceptor().accept(stream).await.ok()?;
    let mut connection = h2::server::handshake(tls).await.ok()?;
    while let Some(Ok((request, answer))) = connection.accept().await {
        tokio::spawn(answer_request(request, answer, Arc::clone(&requests)));
    }
    Some(())
}

async fn answer_request(
    request: http::Request<h2::RecvStream>,
    mut answer: h2::server::SendResponse<Bytes>,
    requests: Requests,
) -> Option<()> {
    let method = request.method().to_string();
    let mut stream = request.into_body();
    let mut body = Vec::new();
    while let Some(part) = stream.data().await {
        body.extend_from_slice(&part.ok()?);
    }
    requests.lock().expect("not poisoned").push((method, body));
    let response = http::Response::builder()
        .status(202)
        .body(())
        .expect("a response");
    answer.send_response(response, true).ok().map(drop)
}

fn request(method: &str, url: &str, body: &'static str) -> OutboundRequest {
    let mut request = OutboundRequest::new(method, url, Bytes::from_static(body.as_bytes()), PATIENT_MS);
    request.connection = trusting();
    request
}

#[tokio::test]
async fn a_request_goes_over_tls_and_http_2_where_the_receiver_speaks_it() {
    let (address, requests) = start_receiver().await;
    let url = format!("https://hook.example:{}/", address.port());
    let client = client();
    assert_eq!(
        client
            .probe_connect(&url, trusting().as_ref(), PATIENT_MS)
            .await
            .error,
        None
    );
    for (method, body) in [("POST", "{}"), ("POST", ""), ("GET", "")] {
        let result = client.send(&request(method, &url, body)).await;
        assert_eq!((result.status(), result.error), (Some(202), None), "{method}");
    }
    let expected = [("POST", "{}"), ("POST", ""), ("GET", "")]
        .map(|(method, body)| (method.to_owned(), body.as_bytes().to_vec()));
    assert_eq!(*requests.lock().expect("not poisoned"), expected);
}

#[tokio::test]
async fn a_withheld_request_is_never_whole_over_http_2() {
    let (address, requests) = start_receiver().await;
    let url = format!("https://hook.example:{}/", address.port());
    let client = client();
    for (method, body) in [("POST", "{}"), ("POST", ""), ("GET", "")] {
        let asked = AtomicUsize::new(0);
        let check = Arc::new(move || asked.fetch_add(1, Ordering::SeqCst) < 1);
        let result = client.send_while(&request(method, &url, body), check).await;
        assert_eq!(result, Err(Withheld), "{method}");
    }
    // The connection is in order after them, and what came before this one has been seen.
    assert!(client.send(&request("PUT", &url, "last")).await.is_success());
    let expected = vec![("PUT".to_owned(), b"last".to_vec())];
    assert_eq!(*requests.lock().expect("not poisoned"), expected);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_or_for_another_name_is_a_tls_error() {
    let (address, _) = start_receiver().await;
    for (trusts_authority, name) in [(false, "hook.example"), (true, "other.example")] {
        let url = format!("https://{name}:{}/", address.port());
        let profile = trusting().filter(|_| trusts_authority);
        let mut request = request("POST", &url, "{}");
        request.connection = profile.clone();
        let client = client();
        let result = client.send(&request).await;
        let probe = client.probe_connect(&url, profile.as_ref(), PATIENT_MS).await;
        for error in [result.error, probe.error] {
            let error = error.expect("an error");
            assert_eq!(error.code, ErrorCode::Tls, "{error}");
            assert!(error.detail.contains("certificate"), "{error}");
        }
    }
}
