//! Senders: each key's webhooks one after another, each repeated until it is accepted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hookrail_harness::Api;
use tokio::task::JoinSet;

use crate::webhook_ledger::Ledger;

/// Senders at once.
const SENDERS: u64 = 20;
/// Pause before a webhook that was not accepted is sent again.
const PAUSE: Duration = Duration::from_millis(100);
/// How often one webhook is sent at most.
const TRIES: u32 = 3000;

/// Senders at work.
pub(crate) struct Sending {
    tasks: JoinSet<anyhow::Result<()>>,
    repeated: Arc<AtomicU64>,
}

/// Starts sending `webhooks` to `path`, spread over `keys`, about `rate` a second.
pub(crate) fn start(
    api: &Api,
    path: &str,
    webhooks: u64,
    keys: u64,
    rate: u64,
    ledger: &Arc<Ledger>,
) -> Sending {
    let (mut tasks, repeated) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
    let pause = Duration::from_micros(1_000_000 * SENDERS / rate.max(1));
    for sender in 0..SENDERS {
        let (api, path, ledger, repeated) = (
            api.clone(),
            path.to_owned(),
            Arc::clone(ledger),
            Arc::clone(&repeated),
        );
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(pause);
            // Sender s has the keys s, s + SENDERS, …: a key has one sender, so its order is known.
            let own = |number: &u64| number % keys % SENDERS == sender;
            for number in (0..webhooks).filter(own) {
                ticks.tick().await;
                send(&api, &path, number % keys, number / keys, &repeated).await?;
                ledger.accepted(number % keys, number / keys);
            }
            Ok(())
        });
    }
    Sending { tasks, repeated }
}

async fn send(api: &Api, path: &str, key: u64, n: u64, repeated: &AtomicU64) -> anyhow::Result<()> {
    let body = format!(r#"{{"id":{key},"n":{n}}}"#);
    for _ in 0..TRIES {
        match api.send_json(path, body.clone()).await {
            Ok(answer) if answer.status == 202 => return Ok(()),
            Ok(answer) => anyhow::ensure!(answer.status == 503, "{} {}", answer.status, answer.text),
            Err(_) => {}
        }
        repeated.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
    }
    anyhow::bail!("key {key}, number {n}: not accepted")
}

impl Sending {
    /// Waits until all is accepted, and gives how many sends were repeated.
    ///
    /// # Errors
    /// When one was never accepted.
    pub(crate) async fn finish(mut self) -> anyhow::Result<u64> {
        while let Some(done) = self.tasks.join_next().await {
            done??;
        }
        Ok(self.repeated.load(Ordering::Relaxed))
    }
}
