//! The skeleton that all services share: starting line, ops listener, signals, drain, end. Settings are read and
//! listeners bound before it; what a service does is given to it.

use std::future::Future;
use std::net::TcpListener;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::health::Health;
use crate::metrics::Metrics;
use crate::settings::{EXIT_WRONG_SETTINGS, SettingsError};
use crate::{ops_http, shutdown};

/// What every service gets from its process. Clones share everything.
#[derive(Clone)]
pub struct ServiceContext {
    pub metrics: Metrics,
    pub health: Health,
    /// Cancelled when the process is to stop: take no new work, finish what is in flight, return.
    pub shutdown: CancellationToken,
    /// How long finishing may take.
    pub grace: Duration,
}

impl ServiceContext {
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self {
            metrics: Metrics::new(),
            health: Health::new(),
            shutdown: CancellationToken::new(),
            grace,
        }
    }
}

/// Why a process ended before its service did.
#[derive(Debug, thiserror::Error)]
#[error("work in flight was not finished within {grace_ms} ms (setting --shutdown-grace-ms)")]
pub struct GraceExceeded {
    grace_ms: u128,
}

/// Runs `service` under the skeleton until it returns: by itself, which also stops everything else, or because a
/// signal cancelled `context.shutdown`. The ops listener answers until the service has returned.
///
/// # Errors
/// The service's own, or [`GraceExceeded`].
pub async fn run<F, R>(
    name: &'static str,
    context: ServiceContext,
    ops: TcpListener,
    service: F,
) -> anyhow::Result<()>
where
    F: FnOnce(ServiceContext) -> R,
    R: Future<Output = anyhow::Result<()>>,
{
    tracing::info!(process = name, version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), ops = %ops.local_addr()?, "starting");
    shutdown::cancel_on_signals(context.shutdown.clone())?;
    let ops = ops_http::start(ops, &context)?;
    let result = within_grace(&context, service(context.clone())).await;
    context.shutdown.cancel();
    ops.stop(false).await;
    tracing::info!(process = name, clean = result.is_ok(), "stopped");
    result
}

async fn within_grace(
    context: &ServiceContext,
    service: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let service = Box::pin(service);
    tokio::select! {
        result = service => result,
        () = shutdown::grace_is_over(&context.shutdown, context.grace) => {
            Err(GraceExceeded { grace_ms: context.grace.as_millis() }.into())
        }
    }
}

/// The exit code of a process that ended with `result`: 0, 64 for wrong settings, 1 for all else.
#[must_use]
pub fn exit_code(result: &anyhow::Result<()>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(error) if error.chain().any(|cause| cause.is::<SettingsError>()) => EXIT_WRONG_SETTINGS,
        Err(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_end_with_64_and_other_errors_with_1() {
        let wrong =
            anyhow::Error::from(SettingsError::invalid("nats-url", "not a URL")).context("while starting");
        assert_eq!(exit_code(&Err(wrong)), 64);
        assert_eq!(exit_code(&Err(anyhow::anyhow!("disk full"))), 1);
        assert_eq!(exit_code(&Ok(())), 0);
    }

    #[tokio::test]
    async fn a_service_that_does_not_finish_is_cut_off_after_the_grace_period() {
        let context = ServiceContext::new(Duration::ZERO);
        context.shutdown.cancel();
        let result = within_grace(&context, std::future::pending()).await;
        assert!(result.unwrap_err().is::<GraceExceeded>());
    }
}
