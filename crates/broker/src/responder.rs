//! Storing the answer to a waiting caller; the server tells whoever waits. The first answer to a request
//! is the one that counts: another one of the same event, as a takeover may bring, changes nothing.
//!
//! Only a stored answer is surely kept. Where the stream has no room until nobody wants the answer any
//! more, who still waits is told without it being stored, so that no lane stands still for it.

use std::time::Duration;

use async_nats::HeaderMap;
use hookrail_domain::Millis;
use hookrail_domain::event::Reply;
use hookrail_domain::ids::EventId;
use hookrail_domain::respond::{Response, ResponseOutcome, kept_ms};

use crate::codec::encode_response;
use crate::connection::Broker;
use crate::message::HEADER_MESSAGE_ID;
use crate::publish::{PublishError, Publisher};
use crate::responses::{HEADER_TTL, ttl};

/// The pause before a stream without room is tried again.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(250);

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It is stored, or was before.
    Kept,
    /// Who waits was told; it is not kept.
    ToldOnly,
}

/// Stores answers over one connection. Cheap to clone.
#[derive(Clone)]
pub struct Responder {
    broker: Broker,
    publisher: Publisher,
    now: fn() -> Millis,
}

impl Responder {
    /// One that looks at `now` to know how long an answer is kept.
    pub fn new(broker: &Broker, now: fn() -> Millis) -> Responder {
        Responder {
            broker: broker.clone(),
            publisher: broker.publisher(),
            now,
        }
    }

    /// The largest body of a destination's answer that is carried, bytes.
    pub fn body_limit(&self) -> usize {
        self.broker.max_inline_bytes()
    }

    /// Answers `reply` with what became of `event`. Returns when that is stored, or can't be.
    ///
    /// # Errors
    /// Nobody knows whether it is stored. To be repeated.
    pub async fn answer(
        &self,
        reply: &Reply,
        event: EventId,
        outcome: ResponseOutcome,
    ) -> Result<Answered, PublishError> {
        let mut response = Response {
            event,
            at: (self.now)(),
            body_hash: reply.body_hash.clone(),
            outcome: Some(outcome),
        };
        loop {
            match self.store(reply, response.clone()).await {
                Ok(()) => return Ok(Answered::Kept),
                // What is around the body counts too: headers that are very long.
                Err(PublishError::TooLarge { .. }) => {
                    let limit = self.body_limit() as u64;
                    response.outcome = Some(ResponseOutcome::TooLarge { limit });
                }
                Err(PublishError::Refused { reason }) if (self.now)() >= reply.deadline => {
                    tracing::error!(%event, reason, "an answer is not kept: the stream of answers has no room");
                    self.tell(reply, response).await;
                    return Ok(Answered::ToldOnly);
                }
                Err(PublishError::Refused { reason }) => {
                    tracing::warn!(%event, reason, "the stream of answers has no room");
                    tokio::time::sleep(NO_ROOM_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Tells whoever waits for `reply` that the answer will not come in time. Stores nothing, and may get
    /// lost: then the caller waits to the end of its time.
    pub async fn tell_in_vain(&self, reply: &Reply, event: EventId) {
        let response = Response {
            event,
            at: (self.now)(),
            body_hash: reply.body_hash.clone(),
            outcome: None,
        };
        self.tell(reply, response).await;
    }

    /// Tells whoever waits for `reply`, without storing anything.
    pub async fn tell(&self, reply: &Reply, response: Response) {
        let names = self.broker.names();
        let subject = names.told_subject(&reply.instance, &reply.request);
        let told = self.broker.client().publish(subject, encode_response(response));
        if let Err(error) = told.await {
            tracing::debug!(%error, "a caller was not told");
        }
    }

    async fn store(&self, reply: &Reply, response: Response) -> Result<(), PublishError> {
        let names = self.broker.names();
        let subject = names.response_subject(&reply.instance, &reply.request);
        let kept = ttl(kept_ms(reply, (self.now)()));
        let id = format!("{}.{}", reply.request, response.event);
        let headers = || {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER_MESSAGE_ID, id.as_str());
            headers.insert(HEADER_TTL, kept.as_str());
            headers
        };
        let stored = self
            .publisher
            .publish_with(subject, headers, encode_response(response));
        stored.await.map(drop)
    }
}
