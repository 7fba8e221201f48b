//! Planning the fetches of an event: one for each id that its payload has, in the lane of the entity, so that
//! the last one to be answered was asked last.

use std::collections::HashSet;

use hookrail_domain::{
    delivery::{Delivery, EntityRef},
    entity::{EntityRules, Extracted},
    event::{Body, Origin},
    fetcher::{as_destination, ids::FetchId},
    partition,
};
use hookrail_store::{entities::EntityKey, event_entities::EventEntity};

use crate::{
    evaluation::{Arrival, Evaluation},
    plan_deliveries::Planner,
};

/// Plans the fetches by `rules`, after whatever was planned for the event.
pub(crate) fn plan(
    planner: &Planner<'_>,
    arrival: &Arrival,
    rules: &EntityRules,
    extracted: &[Extracted],
    evaluation: &mut Evaluation,
) {
    let mut seen = HashSet::new();
    for entity in extracted.iter().filter(|entity| seen.insert(&entity.unique_id)) {
        let index = evaluation.deliveries.len() + evaluation.stillborn.len();
        let Some(fetch) = fetch(planner, arrival, rules, &entity.unique_id, index) else {
            continue;
        };
        evaluation.deliveries.push(fetch);
        evaluation.about.push(EventEntity {
            event: arrival.event.id,
            entity: EntityKey::new(arrival.event.workspace, &rules.entity_type, &entity.unique_id),
            change: "unchanged",
        });
    }
}

/// The fetch of one entity. A definition that was saved has a fetcher, and ids that fit its paths.
fn fetch(
    planner: &Planner<'_>,
    arrival: &Arrival,
    rules: &EntityRules,
    unique_id: &str,
    index: usize,
) -> Option<Delivery> {
    let (fetcher, asked) = (rules.fetcher?, FetchId::new(&rules.unique_id, unique_id)?);
    let event = &arrival.event;
    let replay = planner.replay.map(|replay| replay.to_string());
    let (by, replayed) = (fetcher.to_string(), replay.unwrap_or_default());
    let parts = ["fetch", &rules.entity_type, unique_id, &by, &replayed];
    Some(Delivery {
        id: partition::delivery_id(event.id, event.accepted_at, &parts),
        event: event.id,
        event_type: event.event_type.clone(),
        workspace: event.workspace,
        source: event.source,
        destination: as_destination(fetcher),
        fetcher: Some(fetcher),
        route: None,
        entity: Some(EntityRef {
            entity_type: rules.entity_type.clone(),
            unique_id: unique_id.to_owned(),
            version: String::new(),
        }),
        lane_key: Some(format!("{}:{unique_id}", rules.entity_type)),
        origin: Origin {
            partition: arrival.partition,
            sequence: arrival.sequence,
            index: u32::try_from(index).unwrap_or(u32::MAX),
        },
        revision: planner.snapshot.revision(),
        accepted_at: event.accepted_at,
        content_type: Some("application/json".to_owned()),
        headers: Vec::new(),
        body: Body::inline(asked.to_body()),
        traceparent: event.traceparent.clone(),
        replay: planner.replay,
        reply: None,
        generation: 0,
        attempts_before: 0,
        was_held: planner.was_held,
    })
}
