//! Several nats-servers of a test's own that are one JetStream cluster.

use std::path::Path;

use crate::{
    nats::{NatsServer, free_port},
    wait::eventually,
};

/// How long a cluster may take until it answers, seconds.
const READY_SECONDS: u64 = 60;

/// Starts `count` servers below `folder`: one stands alone, more are a cluster. Returns once JetStream
/// answers.
///
/// # Errors
/// When a server does not start, or they do not find each other.
pub async fn start_nats_servers(folder: &Path, count: usize) -> anyhow::Result<Vec<NatsServer>> {
    if count == 1 {
        return Ok(vec![NatsServer::start(&folder.join("nats-0")).await?]);
    }
    let ports = (0..count)
        .map(|_| free_port())
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut servers = Vec::with_capacity(count);
    for number in 0..count {
        let configuration = configuration(number, &ports);
        servers.push(
            NatsServer::start_configured(&folder.join(format!("nats-{number}")), &configuration).await?,
        );
    }
    let url = servers[0].url();
    let answers = || async {
        let client = async_nats::connect(&url).await.ok()?;
        async_nats::jetstream::new(client).query_account().await.ok()
    };
    eventually("the cluster's JetStream answers", READY_SECONDS, answers).await?;
    Ok(servers)
}

fn configuration(number: usize, ports: &[u16]) -> String {
    let routes: Vec<String> = ports
        .iter()
        .map(|port| format!("nats://127.0.0.1:{port}"))
        .collect();
    let (listen, routes) = (ports[number], routes.join(", "));
    format!(
        "server_name: n{number}\ncluster {{ name: test, listen: \"127.0.0.1:{listen}\", routes: [{routes}] }}\n"
    )
}
