//! The ops listener: `/livez`, `/readyz` and `/metrics`, for orchestrators and Prometheus. It has no authentication
//! and shows nothing of workspaces, so it may be kept inside the cluster.

use std::net::TcpListener;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::json;

use crate::bootstrap::ServiceContext;

/// Prometheus' text format, version 0.0.4.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Starts serving; the handle stops it.
///
/// # Errors
/// When the listener can't be used.
pub fn start(listener: TcpListener, context: &ServiceContext) -> std::io::Result<ServerHandle> {
    let server = server(listener, context.clone())?;
    let stop = server.handle();
    tokio::spawn(server);
    Ok(stop)
}

fn server(listener: TcpListener, context: ServiceContext) -> std::io::Result<Server> {
    let context = web::Data::new(context);
    let app = move || {
        App::new()
            .app_data(context.clone())
            .route("/livez", web::get().to(live))
            .route("/livez", web::head().to(live))
            .route("/readyz", web::get().to(ready))
            .route("/readyz", web::head().to(ready))
            .route("/metrics", web::get().to(metrics))
            .route("/metrics", web::head().to(metrics))
    };
    // Probes and scrapes are few: one worker serves them.
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1);
    Ok(server.listen(listener)?.run())
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"live": true}))
}

/// 503 while a check is not ready, or the process is stopping: then it gets no new work.
async fn ready(context: web::Data<ServiceContext>) -> HttpResponse {
    let not_ready = context.health.not_ready();
    let is_stopping = context.shutdown.is_cancelled();
    if not_ready.is_empty() && !is_stopping {
        return HttpResponse::Ok().json(json!({"ready": true}));
    }
    HttpResponse::ServiceUnavailable()
        .json(json!({"ready": false, "stopping": is_stopping, "not_ready": not_ready}))
}

async fn metrics(context: web::Data<ServiceContext>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(METRICS_TYPE)
        .body(context.metrics.to_text())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn get(port: u16, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: ops\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_follows_the_checks_and_ends_with_shutdown() {
        let context = ServiceContext::new(Duration::from_secs(1));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = start(listener, &context).unwrap();
        let broker = context.health.check("ingress.broker");
        let unready = get(port, "/readyz").await;
        assert!(unready.starts_with("HTTP/1.1 503"), "{unready}");
        assert!(
            unready.contains(r#"{"check":"ingress.broker","reason":"starting"}"#),
            "{unready}"
        );
        broker.ready();
        assert!(get(port, "/readyz").await.starts_with("HTTP/1.1 200"));
        context.shutdown.cancel();
        assert!(get(port, "/readyz").await.contains(r#""stopping":true"#));
        assert!(get(port, "/livez").await.starts_with("HTTP/1.1 200"));
        stop.stop(false).await;
    }

    #[tokio::test]
    async fn metrics_are_served_as_text() {
        let context = ServiceContext::new(Duration::from_secs(1));
        context.metrics.counter("events_total", "Events.").inc();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = start(listener, &context).unwrap();
        let answer = get(port, "/metrics").await;
        assert!(answer.contains("text/plain; version=0.0.4"), "{answer}");
        assert!(answer.contains("hookrail_events_total 1"), "{answer}");
        stop.stop(false).await;
    }
}
