//! A listener that speaks TLS itself.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookrail_harness::{eventually, install_tls_provider};
use hookrail_ingress::IngressSettings;
use reqwest::Version;

use crate::gateway::{Gateway, spec};

const AUTHORITY: &[u8] = include_bytes!("../../../../crates/outbound/testdata/authority.der");
const SERVER: &[u8] = include_bytes!("../../../../crates/outbound/testdata/server.der");
const SERVER_KEY: &[u8] = include_bytes!("../../../../crates/outbound/testdata/server-key.der");
/// The name in the certificate.
const NAME: &str = "hook.example";

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

fn settings(folder: &Path) -> IngressSettings {
    IngressSettings {
        ingress_tls_cert: Some(folder.join("cert.pem")),
        ingress_tls_key: Some(folder.join("key.pem")),
        ..IngressSettings::default()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test talks to the ingress as any sender does"
)]
fn client(gateway: &Gateway, http1: bool) -> reqwest::Client {
    let authority = reqwest::Certificate::from_der(AUTHORITY).unwrap();
    let builder = reqwest::Client::builder()
        .tls_certs_only([authority])
        .resolve(NAME, gateway.address());
    let builder = if http1 { builder.http1_only() } else { builder };
    builder.build().unwrap()
}

/// How a request is answered, and in which version of HTTP.
async fn send(gateway: &Gateway, http1: bool) -> Option<(u16, Version)> {
    let url = format!("https://{NAME}:{}/default/orders", gateway.address().port());
    let answer = client(gateway, http1).post(url).body("{}").send().await.ok()?;
    Some((answer.status().as_u16(), answer.version()))
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_serves_both_versions_of_http_and_takes_a_renewed_certificate() {
    install_tls_provider();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert.pem"), pem("CERTIFICATE", SERVER)).unwrap();
    std::fs::write(folder.path().join("key.pem"), pem("PRIVATE KEY", SERVER_KEY)).unwrap();
    let gateway = Gateway::start_set(settings(folder.path()), vec![spec("orders")]).await;
    assert_eq!(send(&gateway, false).await, Some((202, Version::HTTP_2)));
    assert_eq!(send(&gateway, true).await, Some((202, Version::HTTP_11)));
    assert_eq!(gateway.events().await, 2);

    // Half written: the old one stays.
    std::fs::write(folder.path().join("cert.pem"), "-----BEGIN").unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(send(&gateway, false).await, Some((202, Version::HTTP_2)));
    // Renewed: with its authority's beside it.
    let chain = pem("CERTIFICATE", SERVER) + &pem("CERTIFICATE", AUTHORITY);
    std::fs::write(folder.path().join("cert.pem"), chain).unwrap();
    let renewed = || async { (chain_length(&gateway).await == Some(2)).then_some(()) };
    eventually("the renewed certificate", 15, renewed).await.unwrap();
}

/// How many certificates the listener shows.
async fn chain_length(gateway: &Gateway) -> Option<usize> {
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots())
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from(NAME).unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = tokio::net::TcpStream::connect(gateway.address()).await.ok()?;
    let stream = connector.connect(name, stream).await.ok()?;
    stream.get_ref().1.peer_certificates().map(<[_]>::len)
}

fn roots() -> rustls::RootCertStore {
    let mut roots = rustls::RootCertStore::empty();
    let authority = rustls::pki_types::CertificateDer::from(AUTHORITY);
    roots.add(authority).unwrap();
    roots
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_setting_or_a_key_that_does_not_fit_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert.pem"), pem("CERTIFICATE", AUTHORITY)).unwrap();
    std::fs::write(folder.path().join("key.pem"), pem("PRIVATE KEY", SERVER_KEY)).unwrap();
    let half = IngressSettings {
        ingress_tls_key: None,
        ..settings(folder.path())
    };
    for (settings, named) in [
        (half, "ingress-tls-key"),
        (settings(folder.path()), "ingress-tls-cert"),
    ] {
        let refused = Gateway::refuses(settings).await;
        assert!(refused.contains(named), "{refused}");
    }
}
