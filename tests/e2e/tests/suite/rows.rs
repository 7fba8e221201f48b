//! What five kinds of product can do, each tried as its user would, point by point. The points are listed in
//! `docs/proofs.md`.

#[path = "rows/connection.rs"]
mod connection;
#[path = "rows/live_source.rs"]
mod live_source;
#[path = "rows/replication.rs"]
mod replication;
#[path = "rows/settings.rs"]
mod settings;
#[path = "rows/trigger.rs"]
mod trigger;

pub(crate) use connection::an_inbound_and_outbound_connection;
pub(crate) use live_source::an_inbound_source_with_a_live_stream;
pub(crate) use replication::a_sync_to_a_webhook_destination;
pub(crate) use settings::webhook_settings_of_an_admin;
pub(crate) use trigger::a_webhook_trigger;

use hookrail_harness::{Api, eventually};
use serde_json::Value;

use crate::fixtures::SOON;

/// The path of an absolute URL of the ingress.
fn path_of(url: &str, api: &Api) -> String {
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let path = path.map_or_else(|| url.to_owned(), |(_, path)| format!("/{path}"));
    path.strip_prefix(&api.ingress).unwrap_or(&path).to_owned()
}

/// Waits until a source's status is as wanted.
async fn status_of(api: &Api, source: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    eventually("the source's status", SOON, || async {
        let status = api.get(&format!("/sources/{source}/status")).await.ok()?;
        wanted(&status).then_some(status)
    })
    .await
}
