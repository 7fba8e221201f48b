//! Hearing of answers at the moment they are stored.
//!
//! What the server tells is not stored again: while the connection was lost it is not heard. So whoever
//! waits looks the answer up after a reconnection, and at the end of its time.

use async_nats::Subscriber;
use futures::StreamExt;
use hookrail_domain::respond::Response;
use tokio::sync::watch;

use crate::codec::decode_response;
use crate::connection::Broker;
use crate::error::BrokerError;
use crate::message::last_token;

/// What was heard.
#[derive(Clone, Debug)]
pub struct Told {
    /// The request.
    pub request: String,
    /// Its answer.
    pub response: Response,
}

/// Answers as they come. Dropped, none comes any more.
pub struct ResponseWatch {
    told: Subscriber,
}

impl Broker {
    /// The answers to the callers of one instance.
    ///
    /// # Errors
    /// When the broker can't be asked.
    pub async fn watch_instance(&self, instance: &str) -> Result<ResponseWatch, BrokerError> {
        self.watch_responses(self.names().told_instance(instance)).await
    }

    /// The answer to one request, whichever instance waits for it.
    ///
    /// # Errors
    /// When the broker can't be asked.
    pub async fn watch_request(&self, request: &str) -> Result<ResponseWatch, BrokerError> {
        self.watch_responses(self.names().told_request(request)).await
    }

    /// Changes each time that the connection was made anew, after which what was told may have been missed.
    pub fn reconnections(&self) -> watch::Receiver<u64> {
        self.connects()
    }

    async fn watch_responses(&self, subject: String) -> Result<ResponseWatch, BrokerError> {
        let subscribed = self.client().subscribe(subject).await;
        let told = subscribed.map_err(|error| BrokerError::request("waiting for answers", error))?;
        Ok(ResponseWatch { told })
    }
}

impl ResponseWatch {
    /// The next answer; may be dropped while it waits. `None` when the connection is closed for good.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            let message = self.told.next().await?;
            match decode_response(&message.payload) {
                Ok(response) => {
                    let request = last_token(&message.subject);
                    return Some(Told { request, response });
                }
                Err(error) => tracing::warn!(%error, "an answer that this version can't read"),
            }
        }
    }
}
