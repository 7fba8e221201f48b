//! Starting and stopping the service.

use std::net::TcpListener;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use anyhow::Context as _;
use hookrail_broker::{Broker, SnapshotFeed};
use hookrail_outbound::OutboundClient;
use hookrail_runtime::{ServiceContext, follow_revision};
use hookrail_store::Store;

use crate::first_start::ensure_first_workspace;
use crate::openapi::OpenApiText;
use crate::problem_bodies::problem_bodies;
use crate::settings::ConfigSettings;
use crate::state::ConfigState;
use crate::{consume_notices, http_api, outbox_publisher};

/// Threads that answer requests: people and tools ask, not senders.
const WORKERS: usize = 2;

/// Serves until shutdown.
///
/// # Errors
/// When the database or the listener can't be used.
pub async fn run(
    settings: ConfigSettings,
    broker: Broker,
    store: Store,
    outbound: OutboundClient,
    context: ServiceContext,
    listener: TcpListener,
) -> anyhow::Result<()> {
    let listening = context.health.check("config.listener");
    let publishing = context.health.check("config.outbox");
    let noticing = context.health.check("config.notices");
    let (_feed, snapshots) = SnapshotFeed::start(&broker)
        .await
        .context("can't follow the definitions")?;
    follow_revision(&context.metrics, "config", snapshots.revisions());
    let state = ConfigState::new(&settings, broker, store, outbound, snapshots);
    ensure_first_workspace(&state)
        .await
        .map_err(|error| anyhow::anyhow!("{error}"))
        .context("the first workspace")?;
    let publisher = tokio::spawn(outbox_publisher::run(state.clone(), context.clone(), publishing));
    let notices = tokio::spawn(consume_notices::run(state.clone(), context.clone(), noticing));
    let server = server(&state, &context, listener)?;
    let handle = server.handle();
    let shutdown = context.shutdown.clone();
    tokio::spawn(async move {
        shutdown.cancelled().await;
        handle.stop(true).await;
    });
    listening.ready();
    server.await.context("the API's listener")?;
    // What the last requests changed is published by whoever starts next, at the latest.
    publisher.await.context("the publisher")?;
    notices.await.context("the reader of notices")?;
    outbox_publisher::publish_last(&state).await;
    Ok(())
}

fn server(state: &ConfigState, context: &ServiceContext, listener: TcpListener) -> anyhow::Result<Server> {
    let state = web::Data::new(state.clone());
    let document = web::Data::new(OpenApiText::new()?);
    let app = move || {
        App::new()
            .app_data(state.clone())
            .app_data(document.clone())
            .wrap(from_fn(problem_bodies))
            .configure(http_api::configure)
    };
    let server = HttpServer::new(app)
        .workers(WORKERS)
        .disable_signals()
        .shutdown_timeout(context.grace.as_secs().max(1));
    Ok(server.listen(listener)?.run())
}
