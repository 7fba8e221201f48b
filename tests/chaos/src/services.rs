//! Kills processes of a running installation while webhooks go through it, one after another and all at
//! once, and counts what that cost: nothing accepted may be lost, no key may get out of order, and what was
//! delivered before a later webhook of its key may not come again.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use hookrail_harness::{Receiver, Reply, Service, Stack, create_database, eventually, hookrail_binary};
use serde_json::json;

use crate::{print, webhook_ledger::Ledger, webhook_senders as senders};

/// What can be set of the run.
#[derive(Args)]
pub(crate) struct Services {
    /// Webhooks to send
    #[arg(long, default_value_t = 20_000)]
    webhooks: u64,
    /// Keys that they are spread over
    #[arg(long, default_value_t = 200)]
    keys: u64,
    /// Webhooks a second, about
    #[arg(long, default_value_t = 600)]
    rate: u64,
    /// Rounds of kills, each with every victim once
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Seconds to wait at the end for what is still on its way
    #[arg(long, default_value_t = 180)]
    patience: u64,
    /// An older version of hookrail: the services start from it, and are replaced by this version's instead
    /// of killed
    #[arg(long)]
    before: Option<PathBuf>,
}

/// Between a kill and the start of a successor.
const DOWN: Duration = Duration::from_millis(1500);

/// Kills the four services and nats-server in turn, then all together; whether every promise was kept.
pub(crate) async fn run(cli: &Services) -> anyhow::Result<bool> {
    let Some(database) = create_database("hookrail_chaos")? else {
        print("SKIPPED: HOOKRAIL_TEST_POSTGRES_URL names no PostgreSQL server");
        return Ok(true);
    };
    let ledger = Arc::new(Ledger::default());
    let arrived = Arc::clone(&ledger);
    let receiver = Receiver::without_bodies(move |arrival| {
        arrived.arrival(&arrival.body);
        Reply::status(200)
    })?;
    let program = cli.before.clone().unwrap_or_else(hookrail_binary);
    let mut stack = Stack::four_of(program, database, &[]).await?;
    stack.program = hookrail_binary();
    let path = define(&stack, &receiver).await?;

    let (started, sending) = (
        Instant::now(),
        senders::start(&stack.api, &path, cli.webhooks, cli.keys, cli.rate, &ledger),
    );
    let mut kills = 0;
    for _ in 0..cli.rounds {
        kills += match cli.before {
            Some(_) => replace_each(&mut stack, cli).await?,
            None => kill_each(&mut stack, cli).await?,
        };
    }
    let retried = sending.finish().await?;
    let sent_in = started.elapsed();
    let all = || async { ledger.all_arrived().then_some(()) };
    let came = eventually("everything accepted has arrived", cli.patience, all).await;
    let counts = ledger.count();
    print(&format!(
        "{} webhooks over {} keys, all accepted in {:.0} s ({retried} sends repeated), {kills} kills, all arrived after {:.0} s",
        counts.accepted,
        cli.keys,
        sent_in.as_secs_f64(),
        started.elapsed().as_secs_f64()
    ));
    print(&format!(
        "lost {}   out of order {}   duplicated {}   duplicates after a later one {}",
        counts.lost, counts.out_of_order, counts.duplicated, counts.late_duplicates
    ));
    if came.is_err() {
        print(&stack.tails(12));
    }
    Ok(counts.lost == 0
        && counts.out_of_order == 0
        && counts.late_duplicates == 0
        && counts.accepted == cli.webhooks)
}

/// A source whose events are ordered by key, an ordered destination, a route.
async fn define(stack: &Stack, receiver: &Receiver) -> anyhow::Result<String> {
    let api = &stack.api;
    let entity = json!({"type": "thing", "unique_id": "$.id"});
    let source = api
        .create("/sources", json!({"name": "chaos", "entity": entity}))
        .await?;
    let retry = json!({"initial_ms": 500, "max_ms": 2000});
    let destination = json!({
        "name": "chaos", "url": format!("{}/hook", receiver.url()), "ordering": "key", "timeout_ms": 2000,
        "retry": retry, "max_in_flight": 64
    });
    let destination = api.create("/destinations", destination).await?;
    let route = json!({
        "name": "chaos", "source": source["id"], "destination": destination["id"],
        "events": ["entity.created", "entity.updated"]
    });
    api.create("/routes", route).await?;
    Ok("/default/chaos".to_owned())
}

/// The order in which they are killed.
const VICTIMS: [Service; 4] = [
    Service::Processor,
    Service::Dispatcher,
    Service::Ingress,
    Service::Config,
];

/// Kills each service and nats-server once and then all of them, at even distances over the time that sending
/// takes.
async fn kill_each(stack: &mut Stack, cli: &Services) -> anyhow::Result<u32> {
    let distance = Duration::from_secs((cli.webhooks / cli.rate / u64::from(cli.rounds) / 7).max(2));
    for service in VICTIMS {
        tokio::time::sleep(distance).await;
        print(&format!("kill -9 {}", service.name()));
        stack.kill(service.name());
        tokio::time::sleep(DOWN).await;
        stack.start_service(service)?;
    }
    tokio::time::sleep(distance).await;
    print("kill -9 nats-server");
    restart_nats(stack).await?;
    tokio::time::sleep(distance).await;
    print("kill -9 all of them");
    VICTIMS.iter().for_each(|service| stack.kill(service.name()));
    restart_nats(stack).await?;
    for service in VICTIMS {
        stack.start_service(service)?;
    }
    Ok(10)
}

/// Replaces each service in the order in which a cluster is upgraded.
async fn replace_each(stack: &mut Stack, cli: &Services) -> anyhow::Result<u32> {
    let distance = Duration::from_secs((cli.webhooks / cli.rate / u64::from(cli.rounds) / 5).max(2));
    for service in [
        Service::Ingress,
        Service::Processor,
        Service::Dispatcher,
        Service::Config,
    ] {
        tokio::time::sleep(distance).await;
        print(&format!("replace {}", service.name()));
        stack.replace(service)?;
        stack.wait_ready().await?;
    }
    Ok(0)
}

async fn restart_nats(stack: &mut Stack) -> anyhow::Result<()> {
    if let Some(nats) = &mut stack.nats {
        nats.kill();
        tokio::time::sleep(DOWN).await;
        nats.start_again().await?;
    }
    Ok(())
}
