//! Where an event's body goes: into its message, or, where it is too large for one, into the object
//! store first. It is there for certain before the event is.

use actix_web::web::Bytes;
use hookrail_broker::{Broker, PublishError};
use hookrail_domain::event::{Body, Event};
use hookrail_domain::large_body;
use tokio::runtime::Handle;

use crate::refusal::Refusal;
use crate::state::Worker;

/// What an event takes in its message besides headers, query and body, bytes, about.
const ENVELOPE_BYTES: usize = 4 * 1024;
/// What a header or a parameter takes besides its text, bytes, at the most.
const PAIR_BYTES: usize = 16;

/// Puts `body` where it belongs, and says so in `event`.
///
/// # Errors
/// The object store did not take it; the event is certainly not accepted then.
pub(crate) async fn place_body(worker: &Worker, event: &mut Event, body: Bytes) -> Result<(), Refusal> {
    let ingress = &worker.ingress;
    if envelope_bytes(event) + body.len() <= ingress.broker.max_inline_bytes() {
        event.body = Body::inline(&body[..]);
        return Ok(());
    }
    if ingress.fill.is_full(event.id.partition()) || ingress.fill.are_objects_full() {
        return Err(Refusal::Full);
    }
    let (id, hashed) = (event.id, body.clone());
    // A hash of so much takes longer than a worker should be held up for.
    let naming = actix_web::web::block(move || large_body::object_name(id, &hashed, 0));
    let name = naming.await.map_err(|_| Refusal::Full)?;
    let size = body.len() as u64;
    let unfinished = Unfinished::new(worker, name.clone());
    let put = worker.publisher.put_object(&name, body).await;
    put.map_err(|error| refusal(&error))?;
    unfinished.finished();
    event.body = Body::Object { name, size };
    Ok(())
}

/// Removes the body of an event that was not stored: the request repeats another, or was refused. One
/// of which nobody knows keeps its body.
pub(crate) fn forget_body(worker: &Worker, name: String) {
    drop(Unfinished::new(worker, name));
}

/// An object that no event refers to: it is removed when this is dropped, also when the sender hangs up.
struct Unfinished {
    broker: Broker,
    name: Option<String>,
}

impl Unfinished {
    fn new(worker: &Worker, name: String) -> Self {
        Self {
            broker: worker.ingress.broker.clone(),
            name: Some(name),
        }
    }

    /// It is there whole, and an event will refer to it.
    fn finished(mut self) {
        self.name = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let (Some(name), Ok(runtime)) = (self.name.take(), Handle::try_current()) else {
            return;
        };
        let broker = self.broker.clone();
        runtime.spawn(async move {
            if let Err(error) = broker.delete_object(&name).await {
                tracing::debug!(%error, name, "a body that nobody owns is left to be swept");
            }
        });
    }
}

fn envelope_bytes(event: &Event) -> usize {
    let pairs = event.headers.iter().chain(&event.query);
    let pairs: usize = pairs
        .map(|(name, value)| name.len() + value.len() + PAIR_BYTES)
        .sum();
    ENVELOPE_BYTES + pairs
}

/// Whatever went wrong with the body, the event was not stored.
fn refusal(error: &PublishError) -> Refusal {
    tracing::warn!(%error, "the object store did not take a body");
    Refusal::Full
}
