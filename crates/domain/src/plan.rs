//! Planning: which deliveries an event makes, by routes and by destinations' own `events`.

use std::{collections::HashSet, sync::Arc};

use crate::{
    Millis,
    delivery::EntityRef,
    destination::{Destination, DestinationOrdering, Format},
    event::Origin,
    filter::{Filter, FilterInput},
    ids::{DeliveryId, DestinationId, EventId, ReplayId, RouteId, SourceId, WorkspaceId},
    json::Json,
    jsonpath::{Budget, BudgetExceeded},
    ordering_key, partition,
    route::Route,
    snapshot::Snapshot,
    source::{OrderingMode, Source},
};

/// The lane of deliveries whose ordering key does not resolve.
pub const NO_KEY: &str = "(none)";

/// What triggers deliveries: an event under one of its types.
#[derive(Debug, Clone, Copy)]
pub struct Trigger<'a> {
    /// The event.
    pub event: EventId,
    /// When it was accepted.
    pub accepted_at: Millis,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its source's id.
    pub source: Option<SourceId>,
    /// `webhook.received`, `entity.created`, … or a type of one's own.
    pub event_type: &'a str,
    /// The entity that it is about.
    pub entity: Option<&'a EntityRef>,
    /// The event's data: the payload, or the entity.
    pub data: &'a Json,
    /// The request's headers.
    pub headers: &'a [(String, String)],
    /// The request's query.
    pub query: &'a [(String, String)],
    /// The request's method.
    pub method: &'a str,
    /// The source's ordering key, or the posted one.
    pub ordering_key: Option<&'a str>,
    /// The replay that plans it again.
    pub replay: Option<ReplayId>,
    /// Its place in the log: partition and sequence.
    pub partition: u32,
    /// See `partition`.
    pub sequence: u64,
}

/// A delivery to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Its id.
    pub id: DeliveryId,
    /// Where it goes.
    pub destination: DestinationId,
    /// The route that planned it.
    pub route: Option<RouteId>,
    /// The format of its body.
    pub format: Format,
    /// Its ordering key.
    pub lane_key: Option<String>,
    /// Its place in the log.
    pub origin: Origin,
    /// Whether the destination's answer is the sender's.
    pub respond: bool,
    /// Whether its ordering key did not resolve, which its source's status warns of.
    pub key_unresolved: bool,
}

/// What is to be made of a trigger.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The deliveries, explicit routes first.
    pub deliveries: Vec<Planned>,
    /// The routes whose filters were asked, and whether the answer would have cost too much: then it is no.
    pub filters: Vec<(RouteId, bool)>,
}

/// The deliveries that `trigger` makes under `snapshot`, explicit routes first. `index` is the
/// number of deliveries that the event has made already; it is raised by those made here.
///
/// A destination's own `events` count only where no enabled route leads this source's events of
/// this type to it: a route's filter narrows what its destination gets.
pub fn plan(snapshot: &Snapshot, trigger: &Trigger<'_>, index: &mut u32) -> Plan {
    let mut plan = Plan::default();
    let mut explicit = HashSet::new();
    for route in snapshot.routes_of(trigger.workspace, trigger.source) {
        let Some(destination) = target(snapshot, route).filter(|_| route.spec.takes(trigger.event_type))
        else {
            continue;
        };
        explicit.insert(destination.id);
        let asked = route.spec.filter.as_ref().map(|filter| accepts(filter, trigger));
        plan.filters.extend(asked.map(|said| (route.id, said.is_err())));
        if asked.is_none_or(|said| said.unwrap_or(false)) {
            let planned = delivery(snapshot, trigger, destination, Some(route), index);
            plan.deliveries.push(planned);
        }
    }
    for destination in snapshot.subscribers(trigger.workspace) {
        let subscribed = destination
            .spec
            .events
            .iter()
            .any(|name| name == trigger.event_type);
        if subscribed && !explicit.contains(&destination.id) {
            let planned = delivery(snapshot, trigger, destination, None, index);
            plan.deliveries.push(planned);
        }
    }
    plan
}

/// Whether anybody takes events of a type that belong to no source, by a route or by its own `events`.
pub fn is_taken(snapshot: &Snapshot, workspace: WorkspaceId, event_type: &str) -> bool {
    let by_route = snapshot
        .routes_of(workspace, None)
        .any(|route| route.spec.takes(event_type) && target(snapshot, route).is_some());
    let subscribed =
        |destination: &Arc<Destination>| destination.spec.events.iter().any(|name| name == event_type);
    by_route || snapshot.subscribers(workspace).iter().any(subscribed)
}

fn target<'a>(snapshot: &'a Snapshot, route: &Route) -> Option<&'a Arc<Destination>> {
    snapshot.destination(route.spec.destination?)
}

fn accepts(filter: &Filter, trigger: &Trigger<'_>) -> Result<bool, BudgetExceeded> {
    let input = FilterInput {
        payload: Some(trigger.data),
        headers: trigger.headers,
        query: trigger.query,
        method: trigger.method,
    };
    filter.accepts_within(&input, &mut Budget::default())
}

fn delivery(
    snapshot: &Snapshot,
    trigger: &Trigger<'_>,
    destination: &Destination,
    route: Option<&Arc<Route>>,
    index: &mut u32,
) -> Planned {
    let lane = lane_key(snapshot, trigger, destination, route.map(AsRef::as_ref));
    let origin = Origin {
        partition: trigger.partition,
        sequence: trigger.sequence,
        index: *index,
    };
    *index += 1;
    Planned {
        id: delivery_id(trigger, destination.id, route.map(|route| route.id)),
        destination: destination.id,
        route: route.map(|route| route.id),
        format: destination.spec.format,
        key_unresolved: lane == Lane::Unresolved,
        lane_key: lane.into_key(),
        origin,
        respond: route.is_some_and(|route| route.spec.respond),
    }
}

fn delivery_id(trigger: &Trigger<'_>, destination: DestinationId, route: Option<RouteId>) -> DeliveryId {
    let unique_id = trigger.entity.map_or("", |entity| entity.unique_id.as_str());
    let entity_type = trigger.entity.map_or("", |entity| entity.entity_type.as_str());
    let by = route.map_or_else(|| destination.to_string(), |route| route.to_string());
    let replay = trigger
        .replay
        .map(|replay| replay.to_string())
        .unwrap_or_default();
    let parts = [trigger.event_type, entity_type, unique_id, &by, &replay];
    partition::delivery_id(trigger.event, trigger.accepted_at, &parts)
}

#[derive(Debug, PartialEq)]
enum Lane {
    Own,
    Keyed(String),
    Unresolved,
}

impl Lane {
    fn into_key(self) -> Option<String> {
        match self {
            Self::Own => None,
            Self::Keyed(key) => Some(key),
            Self::Unresolved => Some(NO_KEY.to_owned()),
        }
    }
}

/// The key: the route's, else the posted one, else the entity, else the source's, else none.
fn lane_key(
    snapshot: &Snapshot,
    trigger: &Trigger<'_>,
    destination: &Destination,
    route: Option<&Route>,
) -> Lane {
    match destination.spec.ordering {
        DestinationOrdering::None => return Lane::Own,
        DestinationOrdering::Destination => return Lane::Keyed("*".to_owned()),
        DestinationOrdering::Key => {}
    }
    if let Some(wanted) = route.and_then(|route| route.spec.ordering_key.as_ref()) {
        let found = wanted.path.select(trigger.data).ok();
        let scalar = found.and_then(|nodes| nodes.first().and_then(|node| node.scalar_text()));
        return scalar.map_or(Lane::Unresolved, |key| Lane::Keyed(ordering_key::bounded(key)));
    }
    if let (None, Some(posted)) = (trigger.source, trigger.ordering_key) {
        return Lane::Keyed(posted.to_owned());
    }
    if let Some(entity) = trigger.entity {
        return Lane::Keyed(format!("{}:{}", entity.entity_type, entity.unique_id));
    }
    let source = trigger.source.and_then(|id| snapshot.source(id));
    source.map_or(Lane::Unresolved, |source| {
        source_lane(source, trigger.ordering_key)
    })
}

fn source_lane(source: &Source, ordering_key: Option<&str>) -> Lane {
    match source.spec.effective_ordering().mode {
        OrderingMode::Source => Lane::Keyed(source.id.to_string()),
        _ => ordering_key.map_or(Lane::Unresolved, |key| Lane::Keyed(key.to_owned())),
    }
}
