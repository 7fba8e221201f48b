//! Stored answers to waiting callers: looked up by the request, and the note that one is still to come.
//!
//! There is one message per request and waiting instance, the newest; each has its own time to live.
//! Answers are stored by [`crate::Responder`].

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use hookrail_domain::event::Reply;
use hookrail_domain::respond::{PENDING_KEPT_MS, Response};

use crate::codec::{decode_response, encode_response};
use crate::connection::Broker;
use crate::error::BrokerError;
use crate::message::HEADER_MESSAGE_ID;
use crate::publish::{PublishError, Publisher};

/// The header of a message's own time to live.
pub(crate) const HEADER_TTL: &str = "Nats-TTL";
/// The header that lets a message in only where its subject has none.
const HEADER_EXPECTED_LAST: &str = "Nats-Expected-Last-Subject-Sequence";

/// What became of the note that an answer is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is stored: the answer comes later.
    Yes,
    /// Something is stored there already: the answer, or such a note.
    Before,
}

impl Broker {
    /// What is stored for a request, whichever instance waited for it; asked from the leader.
    ///
    /// # Errors
    /// The broker does not say, or what is stored can't be read.
    pub async fn response(&self, request: &str) -> Result<Option<Response>, BrokerError> {
        let stream = self.stream_ref(&self.names().response_stream()).await?;
        let subject = self.names().responses_to(request);
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => {
                decode_response(&message.payload)
                    .map(Some)
                    .map_err(|error| BrokerError::Unreadable {
                        what: "an answer".to_owned(),
                        reason: error.to_string(),
                    })
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(BrokerError::request("looking up an answer", error)),
        }
    }
}

impl Publisher {
    /// Notes that the answer to `reply` is still to come, unless the answer, or such a note, is stored.
    ///
    /// # Errors
    /// [`PublishError`]; after `Unknown` it may be stored.
    pub async fn note_pending(&self, reply: &Reply, pending: Response) -> Result<Noted, PublishError> {
        let subject = self.names().response_subject(&reply.instance, &reply.request);
        let headers = || {
            let mut headers = HeaderMap::new();
            // Its own repetition is known by this; another's note has the same name, and says the same.
            headers.insert(HEADER_MESSAGE_ID, format!("{}.pending", reply.request));
            headers.insert(HEADER_EXPECTED_LAST, "0");
            headers.insert(HEADER_TTL, ttl(PENDING_KEPT_MS));
            headers
        };
        match self
            .publish_with(subject, headers, encode_response(pending))
            .await
        {
            Ok(published) if published.duplicate && !published.retried => Ok(Noted::Before),
            Ok(_) => Ok(Noted::Yes),
            Err(PublishError::Fenced) => Ok(Noted::Before),
            Err(error) => Err(error),
        }
    }
}

/// A time to live as the server reads it: whole seconds, at least one.
pub(crate) fn ttl(kept_ms: i64) -> String {
    let kept = Duration::from_millis(kept_ms.unsigned_abs());
    format!("{}s", kept.as_secs().max(1))
}
