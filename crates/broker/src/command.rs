//! Asking the owner of a delivery partition, over core NATS: nothing of it is stored.
//!
//! Whoever holds the partition's lease takes requests and answers them; an owner whose lease is over
//! says nothing, so that the asker hears from the new one or from nobody.

use std::time::Duration;

use async_nats::client::{Request, RequestErrorKind};
use async_nats::{Subject, Subscriber};
use futures::StreamExt;
use hookrail_domain::ids::DestinationId;

use crate::codec::{
    Ask, OwnerAnswer, OwnerRequest, decode_owner_answer, decode_owner_request, encode_owner_answer,
    encode_owner_request,
};
use crate::connection::Broker;
use crate::error::BrokerError;
use crate::lease::Lease;

/// A request that brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nobody owns the partition now: nothing was done.
    #[error("nobody owns the partition now")]
    NoOwner,
    /// No answer in time, or none that can be read: it may have been done. Ask again with the same id.
    #[error("no answer: {0}")]
    Unknown(String),
}

impl Broker {
    /// Asks the owner of a delivery partition and waits for its answer, `patience` at most.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn ask_owner(
        &self,
        partition: u32,
        request: &OwnerRequest,
        patience: Duration,
    ) -> Result<OwnerAnswer, AskError> {
        let subject = Subject::from(self.names().command_subject(partition));
        let message = Request::new()
            .payload(encode_owner_request(request))
            .timeout(Some(patience));
        let answer = self.client().send_request(subject, message).await;
        let answer = answer.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => AskError::NoOwner,
            _ => AskError::Unknown(error.to_string()),
        })?;
        decode_owner_answer(&answer.payload, asked_about(&request.ask))
            .map_err(|error| AskError::Unknown(error.to_string()))
    }

    /// Takes the requests to the owner of `lease`'s delivery partition.
    ///
    /// # Errors
    /// When the broker can't be asked.
    pub async fn owner_requests(&self, lease: &Lease) -> Result<OwnerRequests, BrokerError> {
        let subject = self.names().command_subject(lease.partition());
        let subscribed = self.client().subscribe(subject).await;
        let requests = subscribed.map_err(|error| BrokerError::request("taking commands", error))?;
        Ok(OwnerRequests {
            broker: self.clone(),
            lease: lease.clone(),
            requests,
        })
    }
}

fn asked_about(ask: &Ask) -> DestinationId {
    match ask {
        Ask::Command(_, target) => target.destination,
        Ask::Lanes { destination, .. } => *destination,
    }
}

/// The requests to the owner of a delivery partition. Dropped, none is taken any more.
pub struct OwnerRequests {
    broker: Broker,
    lease: Lease,
    requests: Subscriber,
}

impl OwnerRequests {
    /// The next request; may be dropped while it waits. What can't be read is let go: its asker hears
    /// nothing. `None` when the connection is closed for good.
    pub async fn next(&mut self) -> Option<(OwnerRequest, Asked)> {
        loop {
            let message = self.requests.next().await?;
            let Some(reply) = message.reply else { continue };
            match decode_owner_request(&message.payload) {
                Ok(request) if self.lease.holds() => {
                    let (broker, lease) = (self.broker.clone(), self.lease.clone());
                    return Some((request, Asked { broker, lease, reply }));
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "a command that this version can't read"),
            }
        }
    }
}

/// Somebody who waits for an answer.
pub struct Asked {
    broker: Broker,
    lease: Lease,
    reply: Subject,
}

impl Asked {
    /// Answers, unless the lease is over: then the answer is not this worker's to give.
    pub async fn answer(self, answer: &OwnerAnswer) {
        if !self.lease.holds() {
            return;
        }
        let payload = encode_owner_answer(answer);
        if let Err(error) = self.broker.client().publish(self.reply, payload).await {
            tracing::debug!(%error, "an answer was not sent");
        }
    }
}
