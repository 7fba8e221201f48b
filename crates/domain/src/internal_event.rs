//! Events that Hookrail makes itself: a delivery died, a destination was disabled or has too much
//! waiting. What becomes of their own deliveries makes no further event. Pure: when one is made, and how
//! it reaches the log, is decided elsewhere.

use crate::{
    Millis,
    event_type::{DELIVERY_DEAD, DESTINATION_DISABLED, DESTINATION_OVER_QUOTA},
    ids::{DeliveryId, DestinationId, EventId, Id, WorkspaceId},
    journal::{DeliveryFacts, StateRecord},
    json::Json,
    partition,
    render::format_millis,
};

/// The types of such events.
pub const TYPES: [&str; 3] = [DELIVERY_DEAD, DESTINATION_DISABLED, DESTINATION_OVER_QUOTA];

/// An event that Hookrail makes itself.
#[derive(Debug, Clone, PartialEq)]
pub struct InternalEvent {
    /// Its id, which follows from what it is about: made twice, it is the same event.
    pub id: EventId,
    /// The workspace that it belongs to.
    pub workspace: WorkspaceId,
    /// Its type.
    pub event_type: &'static str,
    /// Events of one destination keep their order.
    pub ordering_key: String,
    /// What it says. No secrets, and nothing that a receiver answered.
    pub data: Json,
    /// When it became true.
    pub at: Millis,
}

/// A destination as such events name it.
#[derive(Debug, Clone, Copy)]
pub struct NamedDestination<'a> {
    /// Its id.
    pub id: DestinationId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its name; `None` = it is not known any more.
    pub name: Option<&'a str>,
}

impl NamedDestination<'_> {
    fn show(&self) -> [(&'static str, Json); 2] {
        [
            ("destination", self.id.to_string().into()),
            ("destination_name", self.name.map_or(Json::Null, Json::from)),
        ]
    }

    fn event(
        &self,
        event_type: &'static str,
        about: &str,
        at: Millis,
        partitions: u32,
        data: Vec<(&'static str, Json)>,
    ) -> InternalEvent {
        let ordering_key = self.id.to_string();
        let hash = partition::hash(&[b"internal", event_type.as_bytes(), about.as_bytes()]);
        let random = u128::from_be_bytes(hash[..16].try_into().expect("a SHA-256 has 32 bytes"));
        let of_key = partition::of_key(self.workspace.as_u128(), &ordering_key, partitions);
        InternalEvent {
            id: EventId::from_parts(at, random).with_partition(of_key),
            workspace: self.workspace,
            event_type,
            ordering_key,
            data: Json::Object(
                data.into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
            ),
            at,
        }
    }
}

/// Whether what becomes of a delivery of this event type makes an event: not where it tells of such a
/// fate itself, or one that can't be delivered would make events for ever.
pub fn tells_of(delivery: &DeliveryFacts) -> bool {
    !TYPES.contains(&delivery.event_type.as_str())
}

/// `delivery.dead`. The same death gives the same event, whoever reports it.
pub fn delivery_dead(dead: &StateRecord, destination_name: Option<&str>, partitions: u32) -> InternalEvent {
    let delivery = &dead.delivery;
    let destination = NamedDestination {
        id: delivery.destination,
        workspace: delivery.workspace,
        name: destination_name,
    };
    let died_at = dead.settled_at.unwrap_or(delivery.accepted_at);
    let optional = |id: Option<String>| id.map_or(Json::Null, Json::from);
    let code = dead.failure.as_ref().map(|failure| failure.code.as_str());
    let mut data = vec![
        ("delivery", delivery.id.to_string().into()),
        ("event", delivery.event.to_string().into()),
        ("event_type", delivery.event_type.as_str().into()),
        ("source", optional(delivery.source.map(|id| id.to_string()))),
    ];
    match delivery.fetcher {
        None => data.extend(destination.show()),
        Some(fetcher) => data.extend([
            ("fetcher", fetcher.to_string().into()),
            ("fetcher_name", destination_name.map_or(Json::Null, Json::from)),
        ]),
    }
    data.extend([
        ("route", optional(delivery.route.map(|id| id.to_string()))),
        ("replay", optional(delivery.replay.map(|id| id.to_string()))),
        (
            "error",
            code.map_or(Json::Null, |code| Json::from([("code", Json::from(code))])),
        ),
        ("attempts", i64::from(dead.attempts).into()),
        ("accepted_at", format_millis(delivery.accepted_at).into()),
        ("died_at", format_millis(died_at).into()),
    ]);
    // A death is told once, though two owners may have seen it at two moments: the id's time is the
    // delivery's, which both know.
    let about = format!("{}.{}", delivery.id, dead.generation);
    let mut event = destination.event(DELIVERY_DEAD, &about, delivery.accepted_at, partitions, data);
    event.at = died_at;
    event
}

/// `destination.disabled`: the receiver answered `delivery` with 410.
pub fn destination_disabled(
    destination: &NamedDestination<'_>,
    delivery: DeliveryId,
    at: Millis,
    partitions: u32,
) -> InternalEvent {
    let mut data = destination.show().to_vec();
    data.extend([
        ("reason", "gone".into()),
        ("delivery", delivery.to_string().into()),
        ("disabled_at", format_millis(at).into()),
    ]);
    destination.event(DESTINATION_DISABLED, &delivery.to_string(), at, partitions, data)
}

/// `destination.over_quota`: `delivery` was the first that found no room.
pub fn destination_over_quota(
    destination: &NamedDestination<'_>,
    delivery: DeliveryId,
    parked_bytes: u64,
    at: Millis,
    partitions: u32,
) -> InternalEvent {
    let mut data = destination.show().to_vec();
    data.extend([
        ("delivery", delivery.to_string().into()),
        ("parked_bytes", parked_bytes.into()),
        ("at", format_millis(at).into()),
    ]);
    destination.event(
        DESTINATION_OVER_QUOTA,
        &delivery.to_string(),
        at,
        partitions,
        data,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delivery::{DeliveryStatus, ErrorCode, Failure},
        event::Origin,
    };

    fn dead(event_type: &str, settled_at: Millis) -> StateRecord {
        let delivery = DeliveryFacts {
            id: DeliveryId::from_u128(1),
            event: EventId::from_u128(2),
            event_type: event_type.to_owned(),
            workspace: WorkspaceId::from_u128(3),
            source: None,
            destination: DestinationId::from_u128(4),
            fetcher: None,
            route: None,
            entity: None,
            lane_key: None,
            origin: Origin {
                partition: 0,
                sequence: 1,
                index: 0,
            },
            accepted_at: 1_764_000_000_000,
            replay: None,
        };
        StateRecord {
            delivery,
            status: DeliveryStatus::Dead,
            epoch: 1,
            attempts: 3,
            next_at: None,
            settled_at: Some(settled_at),
            failure: Some(Failure {
                code: ErrorCode::Status,
                detail: "the receiver answered 500 with its password".to_owned(),
            }),
            generation: 0,
            attempt: None,
        }
    }

    #[test]
    fn one_death_is_one_event_whoever_reports_it() {
        let first = delivery_dead(&dead("entity.created", 1_764_000_000_100), Some("crm"), 4);
        let again = delivery_dead(&dead("entity.created", 1_764_000_009_900), Some("crm"), 4);
        assert_eq!(first.id, again.id);
        let other = StateRecord {
            generation: 1,
            ..dead("entity.created", 1_764_000_000_100)
        };
        assert_ne!(first.id, delivery_dead(&other, Some("crm"), 4).id);
    }

    #[test]
    fn an_event_says_what_died_and_nothing_that_was_answered() {
        let event = delivery_dead(&dead("entity.created", 1_764_000_000_100), Some("crm"), 4);
        let text = event.data.to_compact_string();
        assert!(
            text.contains(r#""error":{"code":"status"},"attempts":3"#),
            "{text}"
        );
        assert!(!text.contains("password"), "{text}");
        assert!(event.id.partition() < 4);
    }

    #[test]
    fn the_death_of_what_tells_of_a_death_is_not_told() {
        assert!(tells_of(&dead("webhook.received", 0).delivery));
        for internal in TYPES {
            assert!(!tells_of(&dead(internal, 0).delivery), "{internal}");
        }
    }
}
