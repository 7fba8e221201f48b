//! Waiting for the answer to a request: until it is told, or found after the connection was lost, or the
//! caller's time is up. It looks the answer up only where it may have missed it.

use std::time::Duration;

use hookrail_broker::ResponseWatch;
use hookrail_domain::Millis;
use hookrail_domain::event::Reply;
use hookrail_domain::respond::Response;
use hookrail_runtime::clock::now_ms;
use tokio::sync::watch;

use crate::refusal::Refusal;
use crate::state::Worker;
use crate::waiters::Waiter;

/// Where an answer is heard of. Opened before the event is stored, so that no answer is too fast.
pub(crate) struct Hearing {
    ear: Ear,
    /// Changes when something may have been missed.
    reconnections: watch::Receiver<u64>,
}

enum Ear {
    /// Of a request that nobody else waits for.
    Own(Waiter),
    /// Of a request that others may wait for too, on other instances.
    Shared(ResponseWatch),
}

/// How waiting ended.
#[derive(Debug)]
pub(crate) enum Heard {
    /// With the answer.
    Response(Response),
    /// It will not come in time, or has not: the caller is told where it will be.
    Later,
}

impl Hearing {
    /// For the caller of a new event.
    ///
    /// # Errors
    /// The broker can't be asked.
    pub(crate) async fn of_caller(worker: &Worker, reply: &Reply) -> Result<Self, Refusal> {
        match reply.body_hash {
            // Its repetitions may come to any instance.
            Some(_) => Self::of_request(worker, &reply.request).await,
            None => Ok(Self {
                reconnections: reconnections(worker),
                ear: Ear::Own(worker.waiters.enter(&reply.request)),
            }),
        }
    }

    /// For a request that another caller waits or waited for.
    ///
    /// # Errors
    /// The broker can't be asked.
    pub(crate) async fn of_request(worker: &Worker, request: &str) -> Result<Self, Refusal> {
        let reconnections = reconnections(worker);
        let watch = worker.broker.watch_request(request).await;
        let watch = watch.map_err(|error| Refusal::Unknown(error.to_string()))?;
        Ok(Self {
            reconnections,
            ear: Ear::Shared(watch),
        })
    }

    /// Waits for the answer to `request` until a moment, or until the ingress stops. With `look_first` it
    /// may be there already.
    pub(crate) async fn wait(
        mut self,
        worker: &Worker,
        reply: &Reply,
        until: Millis,
        look_first: bool,
    ) -> Heard {
        let left = Duration::from_millis(u64::try_from(until - now_ms()).unwrap_or(0));
        let time_up = tokio::time::sleep(left);
        tokio::pin!(time_up);
        let (mut look, mut deaf) = (look_first, false);
        loop {
            if std::mem::take(&mut look)
                && let Some(response) = look_up(worker, reply).await
            {
                return Heard::Response(response);
            }
            tokio::select! {
                biased;
                told = self.ear.told(), if !deaf => match told {
                    // Another body with the same key has an answer of its own.
                    Some(response) if !is_of(&response, reply) => {}
                    Some(response) if response.outcome.is_some() => return Heard::Response(response),
                    Some(_in_vain) => return Heard::Later,
                    // The connection is closed for good: what is stored is still found at the end.
                    None => (look, deaf) = (true, true),
                },
                Ok(()) = self.reconnections.changed() => look = true,
                () = &mut time_up => return Heard::Later,
                () = worker.ingress.stopping.cancelled() => return Heard::Later,
            }
        }
    }
}

impl Ear {
    async fn told(&mut self) -> Option<Response> {
        match self {
            Self::Own(waiter) => waiter.told().await,
            Self::Shared(watch) => watch.next().await.map(|told| told.response),
        }
    }
}

/// Whether an answer is that of the body that was asked with.
fn is_of(response: &Response, reply: &Reply) -> bool {
    match (&response.body_hash, &reply.body_hash) {
        (Some(answered), Some(asked)) => answered == asked,
        _ => true,
    }
}

/// The stored answer, if there is one; a broker that does not say is one that has none yet.
pub(crate) async fn look_up(worker: &Worker, reply: &Reply) -> Option<Response> {
    match worker.broker.response(&reply.request).await {
        Ok(response) => response.filter(|response| response.outcome.is_some() && is_of(response, reply)),
        Err(error) => {
            tracing::debug!(%error, "an answer was not looked up");
            None
        }
    }
}

fn reconnections(worker: &Worker) -> watch::Receiver<u64> {
    let mut reconnections = worker.broker.reconnections();
    reconnections.mark_unchanged();
    reconnections
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookrail_domain::ids::EventId;

    fn check(answered: Option<&str>, asked: Option<&str>, expected: bool) {
        let response = Response {
            event: EventId::from_u128(1),
            at: 0,
            body_hash: answered.map(str::to_owned),
            outcome: None,
        };
        let reply = Reply {
            instance: "i".to_owned(),
            request: "r".to_owned(),
            deadline: 0,
            waits_until: 0,
            drop_late: false,
            body_hash: asked.map(str::to_owned),
        };
        assert_eq!(is_of(&response, &reply), expected, "{answered:?} to {asked:?}");
    }

    #[test]
    fn the_answer_to_another_body_with_the_same_key_is_not_heard() {
        check(Some("a"), Some("a"), true);
        check(Some("b"), Some("a"), false);
        check(None, Some("a"), true);
        check(Some("b"), None, true);
    }
}
