//! Private authorities and client certificates against a real receiver on loopback, over TLS 1.2 and 1.3.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hookrail_domain::destination::{DestinationSpec, TlsSpec};
use hookrail_domain::secret::Secret;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::{
    AddressPolicy, AttemptResult, ConnectionProfile, ErrorCode, OutboundClient, OutboundLimits,
    OutboundRequest,
};

const AUTHORITY: &str = include_str!("../testdata/private-authority.pem");
const SERVER: &str = include_str!("../testdata/hook-server.pem");
const EXPIRED: &str = include_str!("../testdata/expired-server.pem");
const CLIENT: &str = include_str!("../testdata/client.pem");
const CLIENT_KEY: &str = include_str!("../testdata/client-key.pem");
const STRANGER: &str = include_str!("../testdata/stranger.pem");
const STRANGER_KEY: &str = include_str!("../testdata/stranger-key.pem");
/// Long enough that only a hanging part of the test could meet it.
const PATIENT_MS: u64 = 30_000;

fn authority() -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(AUTHORITY.as_bytes()).expect("PEM");
    roots.add(certificate).expect("an authority");
    Arc::new(roots)
}

fn acceptor(server: &str, asks: bool, version: &'static SupportedProtocolVersion) -> TlsAcceptor {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .expect("a version that the provider has");
    let builder = if asks {
        let verifier = WebPkiClientVerifier::builder_with_provider(authority(), provider).build();
        builder.with_client_cert_verifier(verifier.expect("a verifier"))
    } else {
        builder.with_no_client_auth()
    };
    let chain = vec![CertificateDer::from_pem_slice(server.as_bytes()).expect("PEM")];
    let key = PrivateKeyDer::from_pem_slice(server.as_bytes()).expect("a key");
    let config = builder
        .with_single_cert(chain, key)
        .expect("a certificate with its key");
    TlsAcceptor::from(Arc::new(config))
}

/// A receiver that answers 200 to each first request of a connection.
async fn receiver(acceptor: TlsAcceptor) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(acceptor.clone(), stream));
        }
    });
    address
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream) -> std::io::Result<()> {
    let mut tls = acceptor.accept(stream).await?;
    let mut request = [0; 4096];
    if tls.read(&mut request).await? > 0 {
        tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .await?;
    }
    tls.shutdown().await
}

fn tls(client: Option<(&str, &str)>) -> TlsSpec {
    TlsSpec {
        ca: Some(AUTHORITY.to_owned()),
        client_certificate: client.map(|(certificate, _)| certificate.to_owned()),
        client_key: client.map(|(_, key)| Secret::new(key)),
        server_name: Some("hook.example".to_owned()),
    }
}

fn spec(tls: TlsSpec) -> DestinationSpec {
    DestinationSpec {
        url: "https://127.0.0.1/".to_owned(),
        tls: Some(tls),
        ..DestinationSpec::default()
    }
}

fn client() -> OutboundClient {
    let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().expect("a network")]);
    OutboundClient::new(policy, OutboundLimits::default()).expect("a client")
}

async fn send(address: SocketAddr, tls: TlsSpec) -> AttemptResult {
    let url = format!("https://{address}/");
    let mut request = OutboundRequest::new("POST", &url, Bytes::from_static(b"{}"), PATIENT_MS);
    request.connection = ConnectionProfile::of(&spec(tls), 0).expect("a profile");
    client().send(&request).await
}

fn check(result: &AttemptResult, words: &str) {
    let error = result.error.as_ref().expect("an error");
    assert_eq!(error.code, ErrorCode::Tls, "{error}");
    assert!(error.detail.contains(words), "{error}");
}

#[tokio::test]
async fn a_client_certificate_lets_in_where_it_is_asked_for() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let address = receiver(acceptor(SERVER, true, version)).await;
        let known = send(address, tls(Some((CLIENT, CLIENT_KEY)))).await;
        assert!(known.is_success(), "{version:?}: {known:?}");
        check(&send(address, tls(None)).await, "client certificate");
        let stranger = send(address, tls(Some((STRANGER, STRANGER_KEY)))).await;
        check(&stranger, "doesn't take the client certificate");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_receiver_s_certificate_is_said() {
    let version = &rustls::version::TLS13;
    let address = receiver(acceptor(SERVER, false, version)).await;
    assert!(send(address, tls(None)).await.is_success());
    let without_ca = TlsSpec {
        ca: None,
        ..tls(None)
    };
    check(&send(address, without_ca).await, "authority that isn't trusted");
    let by_url = TlsSpec {
        server_name: None,
        ..tls(None)
    };
    check(&send(address, by_url).await, "for another name");
    let expired = receiver(acceptor(EXPIRED, false, version)).await;
    check(&send(expired, tls(None)).await, "has expired");
}

#[test]
fn certificates_that_can_not_be_used_are_found_when_they_are_saved() {
    let check = |tls: TlsSpec, expected: &[&str]| {
        let faults = client().faults_of(&spec(tls), 0);
        let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, expected, "{faults:?}");
        assert!(
            faults
                .iter()
                .all(|fault| !fault.detail.contains("PRIVATE KEY-----")),
            "{faults:?}"
        );
    };
    check(tls(Some((CLIENT, CLIENT_KEY))), &[]);
    check(tls(Some((CLIENT, STRANGER_KEY))), &["/tls/client_key"]);
    check(tls(Some((CLIENT, "no key"))), &["/tls/client_key"]);
    check(tls(Some((CLIENT_KEY, CLIENT_KEY))), &["/tls/client_certificate"]);
    let ca = |ca: &str| TlsSpec {
        ca: Some(ca.to_owned()),
        ..tls(None)
    };
    check(ca("no certificate"), &["/tls/ca"]);
    check(
        ca("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        &["/tls/ca"],
    );
    check(ca(&format!("{AUTHORITY}{SERVER}")), &[]);
}
