//! Evaluating a batch: what each event comes to, given the entities that are stored. Pure: the same
//! batch over the same stored state always gives the same entities and the same delivery ids, which
//! is what makes processing an event twice harmless.
//!
//! In two steps, because what has to be loaded follows from the payloads: [`crate::read_event`] reads
//! them, this decides, in order, each event seeing what those before it in the batch changed.

use std::collections::{HashMap, HashSet};

use hookrail_domain::{
    entity::{Build, Extraction},
    event::EventKey,
    ids::{EventId, ReplayId},
    json::Json,
    snapshot::Snapshot,
    source::Source,
};
use hookrail_store::{
    entities::{EntityKey, EntityRow},
    event_keys::FirstEvent,
};

use crate::{
    answer_callers::KEY_REUSED,
    plan_deliveries::Planner,
    plan_fetches,
    read_event::{Failure, Reading},
    rule_findings, take_answers, take_deletions,
    take_entities::{Kind, KnownEntities},
};

pub use crate::evaluation::{Arrival, Evaluation, Verdict};

/// What was stored before the batch.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// The entities that the batch's events are about.
    pub entities: HashMap<EntityKey, EntityRow>,
    /// The events that were first with the keys of the batch's events.
    pub first_events: HashMap<String, FirstEvent>,
    /// Where those of the batch's events are that are stored already: partition and sequence.
    pub places: HashMap<EventId, (u32, u64)>,
    /// What the batch's events did to their entities when they were processed before, which a replay says
    /// again: by event, entity type and unique id.
    pub changes: HashMap<(EventId, String, String), String>,
}

/// What a batch may write before the events after it are left to the next one: rows of entities and
/// of deliveries. One transaction, and the bodies of its deliveries, stay that small.
pub(crate) const BATCH_ROWS: usize = 5_000;

/// Evaluates the events of a batch in order, and at least the first one: those with which it would be
/// more than [`BATCH_ROWS`] are left out, and whatever comes after them. `max_body_bytes` is the
/// largest body of a delivery.
pub fn evaluate(
    snapshot: &Snapshot,
    arrivals: &[Arrival],
    readings: Vec<Reading>,
    stored: Stored,
    max_body_bytes: usize,
) -> Vec<Evaluation> {
    let planner = Planner {
        snapshot,
        max_body_bytes,
        replay: None,
        was_held: false,
    };
    evaluate_with(planner, arrivals, readings, stored)
}

/// Evaluates events again, for `replay`: their deliveries are other ones, and what they did to their
/// entities before they do again, though the entities may be newer by now, and stay so.
pub fn evaluate_again(
    snapshot: &Snapshot,
    replay: ReplayId,
    arrivals: &[Arrival],
    readings: Vec<Reading>,
    stored: Stored,
    max_body_bytes: usize,
) -> Vec<Evaluation> {
    let planner = Planner {
        snapshot,
        max_body_bytes,
        replay: Some(replay),
        was_held: false,
    };
    evaluate_with(planner, arrivals, readings, stored)
}

/// Evaluates events that were held. Whether they repeat others was found out when they came.
pub fn evaluate_held(
    snapshot: &Snapshot,
    arrivals: &[Arrival],
    readings: Vec<Reading>,
    stored: Stored,
    max_body_bytes: usize,
) -> Vec<Evaluation> {
    let planner = Planner {
        snapshot,
        max_body_bytes,
        replay: None,
        was_held: true,
    };
    evaluate_with(planner, arrivals, readings, stored)
}

fn evaluate_with(
    planner: Planner<'_>,
    arrivals: &[Arrival],
    readings: Vec<Reading>,
    stored: Stored,
) -> Vec<Evaluation> {
    let mut batch = Batch {
        snapshot: planner.snapshot,
        known: KnownEntities::stored(stored.entities, stored.changes),
        first_events: stored.first_events,
        places: stored.places,
        planner,
    };
    let (mut evaluations, mut rows) = (Vec::new(), 0);
    for (arrival, reading) in arrivals.iter().zip(readings) {
        let evaluation = batch.event(arrival, reading);
        rows += evaluation.rows();
        if rows > BATCH_ROWS && !evaluations.is_empty() {
            break;
        }
        evaluations.push(evaluation);
    }
    evaluations
}

struct Batch<'a> {
    snapshot: &'a Snapshot,
    known: KnownEntities,
    first_events: HashMap<String, FirstEvent>,
    places: HashMap<EventId, (u32, u64)>,
    planner: Planner<'a>,
}

impl Batch<'_> {
    fn event(&mut self, arrival: &Arrival, reading: Reading) -> Evaluation {
        let mut evaluation = Evaluation::default();
        if !self.planner.was_held && self.is_repeated(arrival, &mut evaluation) {
            return evaluation;
        }
        self.take(arrival, reading, &mut evaluation);
        evaluation
    }

    /// Whether the event was in the log before, or repeats another, which is all that is to be said of it then.
    fn is_repeated(&mut self, arrival: &Arrival, evaluation: &mut Evaluation) -> bool {
        let place = (arrival.partition, arrival.sequence);
        if *self.places.entry(arrival.event.id).or_insert(place) != place {
            evaluation.verdict = Verdict::Again;
            return true;
        }
        let keys: Vec<EventKey> = arrival.event.keys().collect();
        if let Some(verdict) = self.repetition(arrival, &keys) {
            evaluation.verdict = verdict;
            return true;
        }
        evaluation.keys = keys;
        false
    }

    /// Takes in what the event says.
    fn take(&mut self, arrival: &Arrival, reading: Reading, evaluation: &mut Evaluation) {
        let source = arrival.event.source.and_then(|id| self.snapshot.source(id));
        let said = source.and_then(|source| rule_findings::of_filter(source, &arrival.event, &reading));
        evaluation.findings.extend(said);
        match reading {
            Reading::Failed(failure) => evaluation.verdict = Verdict::Failed(failure),
            Reading::Filtered => evaluation.verdict = Verdict::Filtered,
            Reading::Held => evaluation.verdict = Verdict::Held,
            Reading::Posted(data) => self.planner.plan_all(arrival, &data, &[], evaluation),
            Reading::Deletion(wanted) => {
                take_deletions::take(&mut self.known, &self.planner, arrival, wanted, evaluation);
            }
            Reading::Accepted { payload, extraction } => {
                self.accepted(arrival, &payload, extraction.unwrap_or_default(), evaluation);
            }
            Reading::Answered(answered) => {
                take_answers::take(&mut self.known, &self.planner, arrival, answered, evaluation);
            }
        }
    }

    /// What an event with keys is where another was first with one of them, not longer ago than that
    /// is remembered. Else the keys are its own.
    fn repetition(&mut self, arrival: &Arrival, keys: &[EventKey]) -> Option<Verdict> {
        if keys.is_empty() {
            return None;
        }
        let event = &arrival.event;
        let body_hash = event.body_hash();
        let repeated = keys.iter().find_map(|key| {
            let first = self.first_events.get(&key.id)?;
            let is_good = arrival.stored_at - first.seen_at <= key.window_ms;
            (first.event != event.id && is_good).then_some((key, first))
        });
        if let Some((key, first)) = repeated {
            let is_other = first.body_hash.as_ref().is_some_and(|first| *first != body_hash);
            // A sender's own id may come with another body; a key says that the request is the same.
            return Some(match is_other && key.is_idempotency {
                true => Verdict::Failed(Failure::new(
                    KEY_REUSED,
                    format!(
                        "event {} came before with this Idempotency-Key and another body",
                        first.event
                    ),
                )),
                false => Verdict::Duplicate(first.event),
            });
        }
        for key in keys {
            let first = FirstEvent {
                event: event.id,
                body_hash: Some(body_hash.clone()),
                seen_at: arrival.stored_at,
            };
            self.first_events.insert(key.id.clone(), first);
        }
        None
    }

    fn accepted(
        &mut self,
        arrival: &Arrival,
        payload: &Json,
        extraction: Extraction,
        evaluation: &mut Evaluation,
    ) {
        let source = arrival.event.source.and_then(|id| self.snapshot.source(id));
        if let Some(source) = source {
            let said = rule_findings::of_entity_rules(source, &arrival.event, &extraction.warnings);
            evaluation.findings.extend(said);
        }
        if let (true, Some(warning)) = (extraction.entities.is_empty(), extraction.warnings.first()) {
            evaluation.verdict = Verdict::Failed(Failure::of_warning(warning));
            return;
        }
        let rules = source.and_then(|source| source.spec.entity.as_ref());
        if let Some(rules) = rules.filter(|rules| rules.build == Build::Fetcher) {
            self.planner.plan_all(arrival, payload, &[], evaluation);
            plan_fetches::plan(&self.planner, arrival, rules, &extraction.entities, evaluation);
            return;
        }
        let kind = Kind {
            entity_type: rules.map_or("", |rules| rules.entity_type.as_str()),
            history: rules.map_or(0, |rules| rules.history),
        };
        let changes = self.known.take_in(arrival, kind, extraction.entities, evaluation);
        self.planner.plan_all(arrival, payload, &changes, evaluation);
    }
}

/// The keys that a batch needs loaded: of the entities that its events are about.
pub fn entity_keys(snapshot: &Snapshot, arrivals: &[Arrival], readings: &[Reading]) -> Vec<EntityKey> {
    let mut keys = HashSet::new();
    for (arrival, reading) in arrivals.iter().zip(readings) {
        let workspace = arrival.event.workspace;
        let extraction = match reading {
            Reading::Accepted {
                extraction: Some(extraction),
                ..
            } => extraction,
            Reading::Answered(answered) => {
                let id = &answered.answer.unique_id;
                keys.insert(EntityKey::new(workspace, &answered.fetcher.spec.entity_type, id));
                continue;
            }
            Reading::Deletion(wanted) => {
                keys.insert(EntityKey::new(workspace, &wanted.entity_type, &wanted.unique_id));
                continue;
            }
            _ => continue,
        };
        let source = arrival.event.source.and_then(|id| snapshot.source(id));
        let Some(entity_type) = source.and_then(|source| entity_type(source)) else {
            continue;
        };
        for entity in &extraction.entities {
            keys.insert(EntityKey::new(workspace, entity_type, &entity.unique_id));
        }
    }
    keys.into_iter().collect()
}

fn entity_type(source: &Source) -> Option<&str> {
    source
        .spec
        .entity
        .as_ref()
        .map(|rules| rules.entity_type.as_str())
}
