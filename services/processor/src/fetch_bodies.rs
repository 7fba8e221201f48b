//! Fetching the bodies of events that are in the object store, within what memory there is for them.
//!
//! What follows sees no difference: a body that was fetched is in its event as any other is.

use bytes::Bytes;
use hookrail_broker::{Broker, BrokerError, LargeMemory, Lease};
use hookrail_domain::event::Body;

use crate::{arrivals::Opened, back_off::BackOff, error::GiveUp, read_event::Failure};

/// Bytes of large bodies that are processed together, unless a single one is larger.
const TOGETHER_BYTES: u64 = 8 * 1024 * 1024;

/// How many of the first events go together: all, unless their large bodies are too much.
pub(crate) fn together(opened: &[Opened]) -> usize {
    let mut sum = 0_u64;
    let fitting = opened.iter().take_while(|opened| {
        sum += apart(&opened.arrival.event.body);
        sum <= TOGETHER_BYTES
    });
    fitting.count().max(1).min(opened.len())
}

/// Bytes that a body has in the object store.
pub(crate) fn apart(body: &Body) -> u64 {
    match body {
        Body::Inline(_) => 0,
        Body::Object { size, .. } => *size,
    }
}

/// Fetches the bodies of all events that are not held and have theirs in the object store. The memory is theirs until what
/// is given is dropped. An event whose body is not there can't be read.
pub(crate) async fn fetch_bodies(
    broker: &Broker,
    lease: &Lease,
    opened: &mut [Opened],
) -> Result<Option<LargeMemory>, GiveUp> {
    let bytes = opened
        .iter()
        .filter(|opened| !opened.is_held)
        .map(|opened| apart(&opened.arrival.event.body))
        .sum();
    if bytes == 0 {
        return Ok(None);
    }
    let memory = broker.large_memory(bytes).await;
    for opened in opened.iter_mut().filter(|opened| !opened.is_held) {
        let mut back_off = BackOff::usual();
        let fetched = loop {
            match fetch(broker, &opened.arrival.event.body).await {
                Ok(fetched) => break fetched,
                Err(error) => back_off.again(lease, &error).await?,
            }
        };
        match fetched {
            Some(body) => opened.arrival.event.body = body,
            None => opened.unreadable = Some(gone()),
        }
    }
    Ok(Some(memory))
}

/// The body itself; none where it is not in the object store any more.
pub(crate) async fn fetch(broker: &Broker, body: &Body) -> Result<Option<Body>, BrokerError> {
    let Body::Object { name, size } = body else {
        return Ok(Some(body.clone()));
    };
    let found: Option<Bytes> = broker.get_object(name, *size).await?;
    Ok(found.map(|bytes| Body::inline(&bytes[..])))
}

fn gone() -> Failure {
    Failure::new(
        "payload.unavailable",
        "its body is not in the object store any more",
    )
}

#[cfg(test)]
mod tests {
    use hookrail_domain::ids::{EventId, WorkspaceId};

    use super::*;
    use crate::{arrivals::open, evaluate::Arrival};

    fn opened(size: u64) -> Opened {
        let message = hookrail_broker::RawMessage {
            sequence: 1,
            timestamp_ms: 0,
            source: String::new(),
            headers: hookrail_broker::MessageHeaders::default(),
            payload: Bytes::new(),
        };
        let mut opened = open(0, &message);
        let name = "evt_1.x".to_owned();
        opened.arrival = Arrival {
            event: hookrail_domain::event::Event {
                id: EventId::from_u128(1),
                workspace: WorkspaceId::from_u128(1),
                body: Body::Object { name, size },
                ..opened.arrival.event
            },
            ..opened.arrival
        };
        opened
    }

    #[test]
    fn as_many_large_bodies_go_together_as_fit_and_at_least_one() {
        let check = |sizes: &[u64], expected: usize| {
            let all: Vec<Opened> = sizes.iter().map(|size| opened(*size)).collect();
            assert_eq!(together(&all), expected, "{sizes:?}");
        };
        check(&[1, 2, 3], 3);
        check(&[4 * TOGETHER_BYTES, 1], 1);
        check(&[TOGETHER_BYTES, 1, 1], 1);
        check(&[], 0);
    }
}
