//! The ingress's HTTP listener: every path goes to [`receive`], which knows `/{workspace}/{name}` `/h/{token}` and
//! `/r/{token}`. There is no router: with one, a look-up would cost more than the rest of a request.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};

use crate::receive::receive;
use crate::state::{Ingress, Worker};
use crate::tls::Certificate;

/// Connections that one worker holds at most.
const MAX_CONNECTIONS_PER_WORKER: usize = 25_000;
/// How long a TLS handshake may take.
const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that is being closed may take to say goodbye.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The server on `listener`, with TLS where there is a certificate; it stops by its handle, finishing requests within three quarters of
/// `grace`: the rest is for the last reports.
///
/// # Errors
/// The listener can't be used.
pub(crate) fn server(
    listener: TcpListener,
    certificate: Option<&Arc<Certificate>>,
    ingress: Arc<Ingress>,
    grace: Duration,
) -> std::io::Result<Server> {
    let settings = ingress.settings.clone();
    let app = move || {
        let ingress = Arc::clone(&ingress);
        App::new()
            .data_factory(move || Worker::connect(Arc::clone(&ingress)))
            .default_service(web::to(receive))
    };
    let server = HttpServer::new(app)
        .workers(settings.workers())
        .max_connections(MAX_CONNECTIONS_PER_WORKER)
        .client_request_timeout(Duration::from_millis(settings.ingress_header_timeout_ms))
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .tls_handshake_timeout(TLS_HANDSHAKE_TIMEOUT)
        .keep_alive(Duration::from_millis(settings.ingress_keep_alive_ms))
        .tcp_nodelay(true)
        // Who closes its side has gone: nobody is left to wait for an answer.
        .h1_allow_half_closed(false)
        .disable_signals()
        .shutdown_timeout((grace * 3 / 4).as_secs());
    let server = match certificate {
        None => server.listen(listener)?,
        Some(certificate) => {
            let config = certificate.server_config().map_err(std::io::Error::other)?;
            server.listen_rustls_0_23(listener, config)?
        }
    };
    Ok(server.run())
}
