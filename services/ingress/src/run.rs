//! Starting the ingress, and stopping it without losing a request that it has taken.

use std::net::TcpListener;
use std::sync::Arc;

use anyhow::Context as _;
use hookrail_broker::{Broker, SnapshotFeed};
use hookrail_outbound::OutboundClient;
use hookrail_runtime::ServiceContext;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::body_limit::deliverable_bytes;
use crate::fill::RawFill;
use crate::http_api;
use crate::in_flight::InFlight;
use crate::metrics::IngressMetrics;
use crate::readiness;
use crate::refusal_reports::{RefusalReports, send_counts, send_rejections};
use crate::sender_files::SenderFiles;
use crate::settings::IngressSettings;
use crate::state::Ingress;

/// Runs the ingress on `listener` until `context.shutdown`, then finishes what is in flight.
///
/// # Errors
/// Wrong settings, or a broker whose definitions can't be read.
pub async fn run(
    settings: IngressSettings,
    broker: Broker,
    outbound: OutboundClient,
    context: ServiceContext,
    listener: TcpListener,
) -> anyhow::Result<()> {
    settings.check()?;
    let loaded = context.health.check("ingress.snapshot");
    let (_feed, snapshot) = SnapshotFeed::start(&broker)
        .await
        .context("reading the definitions")?;
    loaded.ready();
    let (reports, waiting) = RefusalReports::new();
    let ingress = Arc::new(Ingress {
        snapshot,
        fill: RawFill::new(broker.settings().partitions),
        in_flight: InFlight::new(settings.ingress_max_in_flight),
        reports,
        sender_files: SenderFiles::new(outbound),
        metrics: IngressMetrics::new(&context.metrics),
        broker,
        settings,
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(readiness::watch(Arc::clone(&ingress), context.clone()));
    tasks.spawn(send_rejections(Arc::clone(&ingress), waiting, context.clone()));
    // Counted to the end: refusals are over only when the server has stopped.
    let served = CancellationToken::new();
    tasks.spawn(send_counts(Arc::clone(&ingress), served.clone()));
    let result = serve(listener, &ingress, &context).await;
    context.shutdown.cancel();
    served.cancel();
    tasks.join_all().await;
    result
}

async fn serve(
    listener: TcpListener,
    ingress: &Arc<Ingress>,
    context: &ServiceContext,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let server = http_api::server(listener, Arc::clone(ingress), context.grace)?;
    let stop = server.handle();
    tracing::info!(%address, workers = ingress.settings.workers(), max_body_bytes = deliverable_bytes(&ingress.broker), "taking webhooks");
    let mut server = tokio::spawn(server);
    tokio::select! {
        ended = &mut server => return Ok(ended.context("the HTTP server")??),
        () = context.shutdown.cancelled() => {}
    }
    stop.stop(true).await;
    Ok(server.await.context("the HTTP server")??)
}
