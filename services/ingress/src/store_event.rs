//! Having the broker store an event, and what its answer means for the sender.
//!
//! Only a confirmed store is a success; "perhaps" is said as such.

use std::time::Instant;

use hookrail_broker::{OutMessage, PublishError, Published, codec};
use hookrail_domain::event::{Event, EventKey, Reply};
use hookrail_runtime::clock::now_ms;

use crate::intake::Intake;
use crate::refusal::Refusal;
use crate::state::{Ingress, Worker};

/// An event that the broker has, with its id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// This request's.
    Accepted(String),
    /// That of an earlier request with the same key and body.
    Duplicate {
        /// That event.
        event_id: String,
        /// Who waited for its result.
        reply: Option<Reply>,
    },
}

/// Stores the event.
///
/// # Errors
/// It was not stored, or nobody knows.
pub(crate) async fn store_event(worker: &Worker, intake: &Intake, event: Event) -> Result<Receipt, Refusal> {
    let ingress = &worker.ingress;
    let partition = event.id.partition();
    if ingress.fill.is_full(partition) {
        return Err(Refusal::Full);
    }
    let event_id = event.id.to_string();
    let key = DuplicateKey::of(&event);
    let body_bytes = usize::try_from(event.body.size()).unwrap_or(usize::MAX);
    let message = OutMessage {
        id: key.as_ref().map_or(&event_id, |key| &key.key.id),
        body_hash: key.as_ref().map(|key| key.body_hash.as_str()),
        event_id: key.as_ref().map(|_| event_id.as_str()),
        payload: codec::encode_event(event),
    };
    let started = Instant::now();
    let mut published = worker
        .publisher
        .publish_event(partition, &intake.id, message.clone())
        .await;
    if let (Ok(first), Some(key)) = (&published, &key)
        && first.duplicate
        && key.is_over(ingress, partition, first.sequence, &event_id).await?
    {
        // The broker remembers longer than the source: the processor knows that this one is new.
        let message = OutMessage {
            id: &event_id,
            ..message
        };
        published = worker
            .publisher
            .publish_event(partition, &intake.id, message)
            .await;
    }
    let took = started.elapsed();
    ingress.metrics.publish_seconds.observe(took.as_secs_f64());
    match (published.map_err(|error| refusal(error, body_bytes))?, key) {
        (published, Some(key)) if published.duplicate => {
            first_event(ingress, partition, published, &event_id, &key).await
        }
        // Without a key the message's id is the event's own: a duplicate is this request's own retry.
        _ => Ok(Receipt::Accepted(event_id)),
    }
}

/// What makes two requests the same one.
struct DuplicateKey {
    key: EventKey,
    body_hash: String,
}

impl DuplicateKey {
    fn of(event: &Event) -> Option<Self> {
        let key = event.keys().next()?;
        let body_hash = event.body_hash();
        Some(Self { key, body_hash })
    }

    /// Whether the source has forgotten the event at `sequence`, though the broker has not.
    async fn is_over(
        &self,
        ingress: &Ingress,
        partition: u32,
        sequence: u64,
        own_id: &str,
    ) -> Result<bool, Refusal> {
        let broker_ms = ingress.broker.settings().duplicate_window_ms;
        if self.key.window_ms.unsigned_abs() >= broker_ms {
            return Ok(false);
        }
        let stored = ingress.broker.raw_get(partition, sequence).await;
        let stored = stored.map_err(|error| Refusal::Unknown(error.to_string()))?;
        // The event may be this request's own, stored by a try whose confirmation was lost.
        Ok(stored.is_some_and(|stored| {
            let is_other = stored.headers.event_id.as_deref() != Some(own_id);
            is_other && now_ms() - stored.timestamp_ms > self.key.window_ms
        }))
    }
}

/// The event that the broker had already under this key.
async fn first_event(
    ingress: &Ingress,
    partition: u32,
    published: Published,
    event_id: &str,
    key: &DuplicateKey,
) -> Result<Receipt, Refusal> {
    let stored = ingress.broker.raw_get(partition, published.sequence).await;
    let stored = stored.map_err(|error| Refusal::Unknown(error.to_string()))?;
    let (headers, payload) = stored
        .map(|stored| (stored.headers, stored.payload))
        .unwrap_or_default();
    let Some(first) = headers.event_id else {
        let gone = "the first event with this key is gone already";
        return Err(Refusal::Unknown(gone.to_owned()));
    };
    if first == event_id {
        Ok(Receipt::Accepted(first))
    } else if !key.key.is_idempotency || headers.body_hash.as_deref() == Some(&key.body_hash) {
        // A sender's own id may come with another body; a caller's key says that the request is the same.
        Ok(Receipt::Duplicate {
            event_id: first,
            reply: reply_of(&payload)?,
        })
    } else {
        Err(Refusal::KeyReused)
    }
}

/// Who waited for the result of a stored event.
fn reply_of(payload: &[u8]) -> Result<Option<Reply>, Refusal> {
    let event = codec::decode_event(payload);
    let unreadable = |error| Refusal::Unknown(format!("the first event with this key: {error}"));
    event.map(|event| event.reply).map_err(unreadable)
}

fn refusal(error: PublishError, body_bytes: usize) -> Refusal {
    match error {
        PublishError::Refused { .. } | PublishError::Fenced => {
            tracing::debug!(%error, "the broker refused an event");
            Refusal::Full
        }
        // What is around this body counts too, its headers above all.
        PublishError::TooLarge { bytes, limit } => Refusal::TooLarge {
            limit: limit.saturating_sub(bytes.saturating_sub(body_bytes)),
        },
        PublishError::Unknown { reason } => Refusal::Unknown(reason),
    }
}
