//! What the ingress is measured beside: the least that an HTTP server can do, and the least that one
//! can do that keeps the promise of a 202.

use std::net::TcpListener;

use actix_web::{App, HttpResponse, HttpServer, web};
use async_nats::jetstream;

/// The stream that the publishing server writes to.
pub(crate) const STREAM: &str = "BENCH";
/// Largest size of that stream.
const STREAM_BYTES: i64 = 8 << 30;
/// Publishes without an ack at once: as many as the client allows the ingress.
const ACKS_INFLIGHT: usize = 4096;

/// Answers 202 to everything.
pub(crate) fn serve_bare() -> anyhow::Result<()> {
    let listener = listener()?;
    let system = actix_web::rt::System::new();
    let app = || {
        App::new().default_service(web::to(|_body: web::Bytes| async {
            HttpResponse::Accepted().body("{}")
        }))
    };
    Ok(system.block_on(HttpServer::new(app).workers(2).listen(listener)?.run())?)
}

/// Publishes each body with an id, and answers 202 after the ack.
pub(crate) fn serve_publish(nats_url: &str) -> anyhow::Result<()> {
    let listener = listener()?;
    let system = actix_web::rt::System::new();
    system.block_on(async move {
        let context = jetstream(nats_url).await?;
        let counter = web::Data::new(std::sync::atomic::AtomicU64::new(0));
        let app = move || {
            App::new()
                .app_data(web::Data::new(context.clone()))
                .app_data(counter.clone())
                .default_service(web::to(publish))
        };
        Ok(HttpServer::new(app).workers(2).listen(listener)?.run().await?)
    })
}

async fn publish(
    body: web::Bytes,
    context: web::Data<jetstream::Context>,
    counter: web::Data<std::sync::atomic::AtomicU64>,
) -> HttpResponse {
    let number = counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", format!("evt_{number:026}").as_str());
    match context.publish_with_headers("bench.0", headers, body).await {
        Ok(ack) => match ack.await {
            Ok(_) => HttpResponse::Accepted().body("{\"event_id\":\"evt_00000000000000000000000000\"}"),
            Err(_) => HttpResponse::ServiceUnavailable().finish(),
        },
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

async fn jetstream(nats_url: &str) -> anyhow::Result<jetstream::Context> {
    let client = async_nats::connect(nats_url).await?;
    let context = jetstream::ContextBuilder::new()
        .max_ack_inflight(ACKS_INFLIGHT)
        .build(client);
    let stream = jetstream::stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["bench.>".to_owned()],
        max_bytes: STREAM_BYTES,
        discard: jetstream::stream::DiscardPolicy::New,
        ..jetstream::stream::Config::default()
    };
    context.get_or_create_stream(stream).await?;
    Ok(context)
}

/// The address comes from the environment, since the benchmark has chosen it.
fn listener() -> anyhow::Result<TcpListener> {
    Ok(TcpListener::bind(std::env::var("BENCH_LISTEN")?)?)
}
