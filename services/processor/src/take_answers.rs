//! Taking the answers to fetches in: an answer's entity is stored under the answer's own place in the log,
//! so that the newest answer wins, and its changes are told as any entity's are. An answer plans no fetch.

use hookrail_domain::{fetcher::answer, json::Json};
use hookrail_store::entities::EntityKey;

use crate::{
    evaluation::{Arrival, Evaluation, Verdict},
    fetch_findings,
    plan_deliveries::Planner,
    read_answer::Answered,
    read_event::Failure,
    take_deletions,
    take_entities::KnownEntities,
};

/// Takes one in.
pub(crate) fn take(
    known: &mut KnownEntities,
    planner: &Planner<'_>,
    arrival: &Arrival,
    answered: Answered,
    evaluation: &mut Evaluation,
) {
    let entity_type = answered.fetcher.spec.entity_type.as_str();
    let entities = match &answered.extraction {
        Some(extraction) => {
            let said = fetch_findings::of_answer(planner.snapshot, arrival, &answered, extraction);
            evaluation.findings.extend(said);
            if let (true, Some(warning)) = (extraction.entities.is_empty(), extraction.warnings.first()) {
                evaluation.verdict = Verdict::Failed(Failure::of_warning(warning));
                return;
            }
            extraction.entities.clone()
        }
        None => {
            let key = EntityKey::new(arrival.event.workspace, entity_type, &answered.answer.unique_id);
            missing(known, &key, &answered).into_iter().collect()
        }
    };
    let kind = take_deletions::kind_of(planner, arrival, entity_type);
    let changes = known.take_in(arrival, kind, entities, evaluation);
    planner.plan_changes(arrival, &changes, &mut 0, evaluation);
}

/// What becomes of the stored entity that its API has no more.
fn missing(
    known: &KnownEntities,
    key: &EntityKey,
    answered: &Answered,
) -> Option<hookrail_domain::entity::Extracted> {
    let (data, title, fields) = known.stored_as(key)?;
    let fields: Json = fields.parse().unwrap_or_default();
    let stored = answer::Stored {
        data,
        title,
        fields: &fields,
    };
    answer::missing(&answered.fetcher, &answered.answer.unique_id, Some(stored))
}
