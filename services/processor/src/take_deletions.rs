//! Taking in that a person wants an entity gone: it is deleted as by an event of its source, and told so. The
//! request itself is told nobody.

use hookrail_domain::entity::{EntityDeletion, EntityRules};

use crate::{
    evaluation::{Arrival, Evaluation},
    plan_deliveries::Planner,
    take_entities::{Kind, KnownEntities},
};

/// Takes one in.
pub(crate) fn take(
    known: &mut KnownEntities,
    planner: &Planner<'_>,
    arrival: &Arrival,
    wanted: EntityDeletion,
    evaluation: &mut Evaluation,
) {
    let kind = kind_of(planner, arrival, &wanted.entity_type);
    let changes = known.delete(arrival, kind, wanted.unique_id, evaluation);
    planner.plan_changes(arrival, &changes, &mut 0, evaluation);
}

/// As many versions are kept as the event's source says, by default where that has gone, or has other entities
/// now.
pub(crate) fn kind_of<'a>(planner: &Planner<'_>, arrival: &Arrival, entity_type: &'a str) -> Kind<'a> {
    let source = arrival.event.source.and_then(|id| planner.snapshot.source(id));
    let rules = source.and_then(|source| source.spec.entity.as_ref());
    let of_type = rules.filter(|rules| rules.entity_type == entity_type);
    Kind {
        entity_type,
        history: of_type.map_or(EntityRules::DEFAULT_HISTORY, |rules| rules.history),
    }
}
