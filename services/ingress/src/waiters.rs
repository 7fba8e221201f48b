//! Callers that wait for an answer, on one worker thread: each is found by its request when the broker tells
//! of the answer. Nothing here is shared with other threads, so an answer wakes the thread that gives it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use hookrail_broker::{Broker, BrokerError, ResponseWatch};
use hookrail_domain::respond::Response;
use tokio::sync::oneshot;

/// The callers of one worker thread that wait, each for an event of its own.
pub(crate) struct Waiters {
    /// The name under which the thread's callers are told.
    instance: String,
    waiting: RefCell<HashMap<String, oneshot::Sender<Response>>>,
}

/// One that waits; dropped, it does no more.
pub(crate) struct Waiter {
    waiters: Rc<Waiters>,
    request: String,
    told: oneshot::Receiver<Response>,
}

impl Waiters {
    /// None yet. Listens from now on; must be called on the thread whose callers they are.
    ///
    /// # Errors
    /// The broker can't be asked.
    pub(crate) async fn listen(broker: &Broker, instance: String) -> Result<Rc<Self>, BrokerError> {
        let watch = broker.watch_instance(&instance).await?;
        let waiters = Rc::new(Self {
            instance,
            waiting: RefCell::default(),
        });
        actix_web::rt::spawn(tell_all(Rc::clone(&waiters), watch));
        Ok(waiters)
    }

    /// The name under which they are told.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// Waits for the answer to a request, which no other caller waits for.
    pub(crate) fn enter(self: &Rc<Self>, request: &str) -> Waiter {
        let (sender, told) = oneshot::channel();
        self.waiting.borrow_mut().insert(request.to_owned(), sender);
        Waiter {
            waiters: Rc::clone(self),
            request: request.to_owned(),
            told,
        }
    }

    fn tell(&self, request: &str, response: Response) {
        if let Some(sender) = self.waiting.borrow_mut().remove(request) {
            // Whoever waited may have gone this very moment.
            let _gone = sender.send(response);
        }
    }
}

async fn tell_all(waiters: Rc<Waiters>, mut watch: ResponseWatch) {
    while let Some(told) = watch.next().await {
        waiters.tell(&told.request, told.response);
    }
}

impl Waiter {
    /// The answer; `None` where nothing comes any more.
    pub(crate) async fn told(&mut self) -> Option<Response> {
        (&mut self.told).await.ok()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters.waiting.borrow_mut().remove(&self.request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookrail_domain::ids::EventId;

    fn response(event: u128) -> Response {
        Response {
            event: EventId::from_u128(event),
            at: 1,
            body_hash: None,
            outcome: None,
        }
    }

    #[actix_web::test]
    async fn each_caller_gets_its_own_answer_and_who_has_gone_leaves_nothing_behind() {
        let waiters = Rc::new(Waiters {
            instance: "i".to_owned(),
            waiting: RefCell::default(),
        });
        let (mut first, mut second) = (waiters.enter("a"), waiters.enter("b"));
        let gone = waiters.enter("c");
        drop(gone);
        waiters.tell("b", response(2));
        waiters.tell("c", response(3));
        waiters.tell("a", response(1));
        waiters.tell("a", response(9));
        assert_eq!(
            first.told().await.map(|told| told.event),
            Some(EventId::from_u128(1))
        );
        assert_eq!(
            second.told().await.map(|told| told.event),
            Some(EventId::from_u128(2))
        );
        drop((first, second));
        assert!(waiters.waiting.borrow().is_empty());
    }
}
