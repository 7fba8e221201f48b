//! Whether the ingress can take webhooks: the broker is connected and its streams answer. The
//! snapshot was read before the listener opened.

use std::sync::Arc;

use hookrail_runtime::ServiceContext;

use crate::fill::{self, LOOK_INTERVAL};
use crate::state::Ingress;

/// Looks once per [`LOOK_INTERVAL`] until the process stops.
pub(crate) async fn watch(ingress: Arc<Ingress>, context: ServiceContext) {
    let broker = context.health.check("ingress.broker");
    let streams = context.health.check("ingress.streams");
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = context.shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        ingress
            .metrics
            .in_flight
            .set(i64::try_from(ingress.in_flight.taken()).unwrap_or(i64::MAX));
        ingress
            .metrics
            .body_bytes_in_flight
            .set(i64::try_from(ingress.body_bytes.taken()).unwrap_or(i64::MAX));
        ingress
            .metrics
            .waiting
            .set(i64::try_from(ingress.waiting.taken()).unwrap_or(i64::MAX));
        if !ingress.broker.is_connected() {
            broker.not_ready("NATS is not connected");
            continue;
        }
        broker.ready();
        tokio::select! {
            () = context.shutdown.cancelled() => return,
            looked = fill::look(&ingress) => match looked {
                Ok(()) => streams.ready(),
                Err(reason) => streams.not_ready(reason),
            }
        }
    }
}
