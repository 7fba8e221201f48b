//! Starting the ingress, and stopping it without losing a request that it has taken.

use std::net::TcpListener;
use std::sync::Arc;

use anyhow::Context as _;
use hookrail_broker::{Broker, SnapshotFeed};
use hookrail_outbound::OutboundClient;
use hookrail_runtime::{ServiceContext, follow_revision, random};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::byte_budget::ByteBudget;
use crate::fill::RawFill;
use crate::http_api;
use crate::in_flight::InFlight;
use crate::metrics::IngressMetrics;
use crate::published_keys::PublishedKeys;
use crate::rates::Rates;
use crate::readiness;
use crate::refusal_reports::{RefusalReports, send_counts, send_rejections};
use crate::sender_files::SenderFiles;
use crate::settings::IngressSettings;
use crate::state::Ingress;
use crate::tls::Certificate;

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
    let certificate = Certificate::from_settings(&settings)?;
    let loaded = context.health.check("ingress.snapshot");
    let (_feed, snapshot) = SnapshotFeed::start(&broker)
        .await
        .context("reading the definitions")?;
    follow_revision(&context.metrics, "ingress", snapshot.revisions());
    loaded.ready();
    let (reports, waiting) = RefusalReports::new();
    let ingress = Arc::new(Ingress {
        snapshot,
        fill: RawFill::new(broker.settings().partitions),
        rates: Rates::new(settings.ingress_client_rate),
        published_keys: PublishedKeys::new(outbound.clone()),
        in_flight: InFlight::new(settings.ingress_max_in_flight),
        body_bytes: ByteBudget::new(settings.ingress_max_body_bytes_in_flight),
        waiting: InFlight::new(settings.ingress_max_waiting),
        late_key: broker
            .late_key(random::bytes(), random::bytes())
            .await
            .context("reading the key of late answers")?,
        stopping: CancellationToken::new(),
        reports,
        sender_files: SenderFiles::new(outbound),
        metrics: IngressMetrics::new(&context.metrics),
        broker,
        settings,
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(readiness::watch(Arc::clone(&ingress), context.clone()));
    tasks.spawn(be_present(Arc::clone(&ingress), context.clone()));
    if let Some(certificate) = &certificate {
        tasks.spawn(Arc::clone(certificate).follow(context.clone()));
    }
    tasks.spawn(send_rejections(Arc::clone(&ingress), waiting, context.clone()));
    // Counted to the end: refusals are over only when the server has stopped.
    let served = CancellationToken::new();
    tasks.spawn(end_waiting(
        ingress.stopping.clone(),
        served.clone(),
        context.clone(),
    ));
    tasks.spawn(send_counts(Arc::clone(&ingress), served.clone()));
    let result = serve(listener, certificate.as_ref(), &ingress, &context).await;
    context.shutdown.cancel();
    served.cancel();
    tasks.join_all().await;
    result
}

/// Counts the live ingresses, which share the sources' rates.
async fn be_present(ingress: Arc<Ingress>, context: ServiceContext) {
    let member = random::hex_token::<8>();
    let presence = ingress.rates.presence.clone();
    let stop = context.shutdown.clone();
    ingress
        .broker
        .be_present("ingress", &member, presence, stop)
        .await;
}

/// Callers that wait when the process is told to stop get half of its grace: who is not answered by then
/// is told where its answer will be.
async fn end_waiting(stopping: CancellationToken, served: CancellationToken, context: ServiceContext) {
    context.shutdown.cancelled().await;
    tokio::select! {
        () = tokio::time::sleep(context.grace / 2) => stopping.cancel(),
        () = served.cancelled() => {}
    }
}

async fn serve(
    listener: TcpListener,
    certificate: Option<&Arc<Certificate>>,
    ingress: &Arc<Ingress>,
    context: &ServiceContext,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let server = http_api::server(listener, certificate, Arc::clone(ingress), context.grace)?;
    let stop = server.handle();
    tracing::info!(%address, workers = ingress.settings.workers(), "taking webhooks");
    let mut server = tokio::spawn(server);
    tokio::select! {
        ended = &mut server => return Ok(ended.context("the HTTP server")??),
        () = context.shutdown.cancelled() => {}
    }
    stop.stop(true).await;
    Ok(server.await.context("the HTTP server")??)
}
