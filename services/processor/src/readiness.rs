//! What the processor says of its readiness: whether database and broker answer. Partitions may well
//! all belong to others; it is ready for them once it takes part.

use std::time::Duration;

use hookrail_broker::Broker;
use hookrail_runtime::ServiceContext;
use hookrail_store::Store;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long the database may take to answer.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Reports until it is dropped.
pub(crate) async fn report(ctx: ServiceContext, broker: Broker, store: Store) {
    let database = ctx.health.check("processor.database");
    let broker_check = ctx.health.check("processor.broker");
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        match broker.is_connected() {
            true => broker_check.ready(),
            false => broker_check.not_ready("not connected"),
        }
        match tokio::time::timeout(DATABASE_TIMEOUT, store.ping()).await {
            Ok(Ok(())) => database.ready(),
            Ok(Err(error)) => database.not_ready(error.to_string()),
            Err(_) => database.not_ready("no answer in time"),
        }
    }
}
