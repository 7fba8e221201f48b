//! What people who run it look at: health, metrics, logs.

use std::sync::Arc;

use anyhow::ensure;
use hookrail_harness::{Receiver, Reply, Stack, eventually};
use serde_json::json;

use crate::fixtures::{SOON, accepted, destination, route, source};

pub(crate) async fn services_tell_that_they_live_and_what_they_count(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let source = source(&stack.api, json!({})).await?;
    accepted(&stack.api, &source, "{}").await?;
    let text = stack.metrics().await?;
    for name in [
        "hookrail_ingress_requests",
        "hookrail_deliveries",
        "hookrail_attempts_in_flight",
        "hookrail_accepted_to_delivered_seconds",
        "hookrail_parked_lanes{partition=",
        "hookrail_oldest_parked_age_seconds{partition=",
        "hookrail_delivery_lag_messages{partition=",
        "hookrail_delivery_takeovers_total",
        "hookrail_delivery_fence_refusals_total",
        "hookrail_delivery_partitions_without_owner 0",
    ] {
        ensure!(text.contains(name), "{name} is not in /metrics");
    }
    Ok(())
}

pub(crate) async fn one_trace_goes_from_request_to_attempt(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let receiver = Receiver::with_script(|arrival| {
        Reply::status(if arrival.header("hookrail-attempt") == "1" {
            500
        } else {
            200
        })
    })?;
    let source = source(api, json!({})).await?;
    let retry = json!({"initial_ms": 100, "max_ms": 200});
    let destination = destination(api, &receiver, json!({"retry": retry})).await?;
    route(api, &source, &destination, &["webhook.received"]).await?;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [
        ("content-type", "application/json"),
        ("traceparent", parent.as_str()),
    ];
    api.send(&source.path, &headers, "{}").await?.expect(202)?;
    let arrivals = receiver.wait_for(2, SOON).await?;
    ensure!(
        arrivals.iter().all(|a| a.header("traceparent").contains(trace)),
        "{:?}",
        arrivals[0].headers
    );
    let logged = || async { stack.tails(100_000).contains(trace).then_some(()) };
    eventually("the failed attempt is logged with its trace", 5, logged).await
}
