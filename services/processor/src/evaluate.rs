//! Evaluating a batch: what each event comes to, given the entities that are stored. Pure: the same
//! batch over the same stored state always gives the same entities and the same delivery ids, which
//! is what makes processing an event twice harmless.
//!
//! In two steps, because what has to be loaded follows from the payloads: [`crate::read_event`] reads
//! them, this decides, in order, each event seeing what those before it in the batch changed.

use std::collections::{HashMap, HashSet};

use hookrail_domain::{
    delivery::{Delivery, EntityRef},
    entity::{Extracted, Warning},
    event::{Event, EventStatus},
    filter::FilterInput,
    ids::{EventId, SourceId},
    journal::StateRecord,
    json::{Json, Members},
    plan::{self, Trigger},
    snapshot::Snapshot,
    source::{OrderingMode, Source},
};
use hookrail_store::{
    entities::{EntityKey, EntityRow, EntityVersion, EntityWrite},
    event_entities::EventEntity,
    source_warnings::{Finding, WarningKey},
};

use crate::{
    changed_members::changed_members,
    read_event::{Failure, Reading},
    render_delivery::{self, Rendering},
};

/// An event with its place in the log.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The event.
    pub event: Event,
    /// Its raw partition.
    pub partition: u32,
    /// Its sequence there.
    pub sequence: u64,
    /// When the broker stored it, milliseconds.
    pub stored_at: i64,
}

impl Arrival {
    /// The version of the entities that it writes.
    pub fn version(&self) -> EntityVersion {
        EntityVersion {
            partition: self.partition,
            sequence: self.sequence,
            at: self.stored_at,
        }
    }
}

/// What an event comes to.
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    /// How it ended.
    pub verdict: Verdict,
    /// Entities to store.
    pub entities: Vec<EntityWrite>,
    /// Entities that it is about.
    pub about: Vec<EventEntity>,
    /// Deliveries to publish, in order.
    pub deliveries: Vec<Delivery>,
    /// Deliveries that can't be made: recorded as dead, never published.
    pub stillborn: Vec<StateRecord>,
    /// What it says of its source's rules.
    pub findings: Vec<(WarningKey, Finding)>,
    /// The key by which a repetition of it will be known.
    pub message_id: Option<String>,
}

/// How an event ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Processed.
    #[default]
    Processed,
    /// Left out by the filter.
    Filtered,
    /// It repeats another.
    Duplicate(EventId),
    /// It could not be decoded or mapped.
    Failed(Failure),
}

impl Verdict {
    /// The status that it gives the event.
    pub fn status(&self) -> EventStatus {
        match self {
            Self::Processed => EventStatus::Processed,
            Self::Filtered => EventStatus::Filtered,
            Self::Duplicate(_) => EventStatus::Duplicate,
            Self::Failed(_) => EventStatus::Failed,
        }
    }
}

/// What was stored before the batch.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// The entities that the batch's events are about.
    pub entities: HashMap<EntityKey, EntityRow>,
    /// The events that were first with the keys of the batch's events.
    pub first_events: HashMap<String, EventId>,
}

/// Evaluates the events of a batch in order. `max_inline_bytes` is the room that an encoded delivery
/// has in a message.
pub fn evaluate(
    snapshot: &Snapshot,
    arrivals: &[Arrival],
    readings: Vec<Reading>,
    stored: Stored,
    max_inline_bytes: usize,
) -> Vec<Evaluation> {
    let known = stored
        .entities
        .into_iter()
        .filter_map(|(key, row)| Some((key, Known::read(row)?)))
        .collect();
    let mut batch = Batch {
        snapshot,
        known,
        first_events: stored.first_events,
        max_inline_bytes,
    };
    arrivals
        .iter()
        .zip(readings)
        .map(|(arrival, reading)| batch.event(arrival, reading))
        .collect()
}

/// An entity as it was before an event.
struct Known {
    data: Json,
    title: Option<String>,
    fields: String,
    version: EntityVersion,
    updated_at: i64,
}

impl Known {
    fn read(row: EntityRow) -> Option<Self> {
        // What can't be read counts as not stored; storing still goes by its version.
        let data = Json::parse(row.data.as_bytes()).ok()?;
        let version = row.version();
        Some(Self {
            data,
            title: row.title,
            fields: row.fields,
            version,
            updated_at: row.updated_at,
        })
    }
}

/// What an event did to an entity.
struct EntityEvent {
    event_type: &'static str,
    entity: EntityRef,
    data: Json,
    /// The members that changed with their values before; `None` = it is new.
    previous: Option<Members>,
}

struct Batch<'a> {
    snapshot: &'a Snapshot,
    known: HashMap<EntityKey, Known>,
    first_events: HashMap<String, EventId>,
    max_inline_bytes: usize,
}

impl Batch<'_> {
    fn event(&mut self, arrival: &Arrival, reading: Reading) -> Evaluation {
        let event = &arrival.event;
        let mut evaluation = Evaluation::default();
        if event.idempotency_key.is_some() || event.dedupe_key.is_some() {
            let message_id = event.message_id();
            let first = *self.first_events.entry(message_id.clone()).or_insert(event.id);
            if first != event.id {
                evaluation.verdict = Verdict::Duplicate(first);
                return evaluation;
            }
            evaluation.message_id = Some(message_id);
        }
        match reading {
            Reading::Failed(failure) => evaluation.verdict = Verdict::Failed(failure),
            Reading::Filtered => evaluation.verdict = Verdict::Filtered,
            Reading::Posted(data) => self.plan_all(arrival, &data, &[], &mut evaluation),
            Reading::Accepted { payload, extraction } => {
                let source = event.source.and_then(|id| self.snapshot.source(id)).cloned();
                let extraction = extraction.unwrap_or_default();
                if let Some(source) = &source {
                    note_rules(source, arrival, &extraction.warnings, &mut evaluation);
                }
                if let (true, Some(warning)) = (extraction.entities.is_empty(), extraction.warnings.first()) {
                    evaluation.verdict = Verdict::Failed(Failure::of_warning(warning));
                    return evaluation;
                }
                let entity_type = source.as_ref().and_then(|source| source.spec.entity.as_ref());
                let entity_type = entity_type.map_or("", |rules| rules.entity_type.as_str());
                let changes = self.entities(arrival, entity_type, extraction.entities, &mut evaluation);
                self.plan_all(arrival, &payload, &changes, &mut evaluation);
            }
        }
        evaluation
    }

    /// Takes an event's entities in; gives what changed.
    fn entities(
        &mut self,
        arrival: &Arrival,
        entity_type: &str,
        extracted: Vec<Extracted>,
        evaluation: &mut Evaluation,
    ) -> Vec<EntityEvent> {
        let last = last_of_each(extracted);
        last.into_iter()
            .filter_map(|entity| self.entity(arrival, entity_type, entity, evaluation))
            .collect()
    }

    fn entity(
        &mut self,
        arrival: &Arrival,
        entity_type: &str,
        extracted: Extracted,
        evaluation: &mut Evaluation,
    ) -> Option<EntityEvent> {
        let event = &arrival.event;
        let version = arrival.version();
        let key = EntityKey::new(event.workspace, entity_type, &extracted.unique_id);
        let fields = Json::Object(extracted.fields).to_compact_string();
        let before = self.known.get(&key);
        let stale = before.is_some_and(|known| !version.replaces(&known.version));
        let same = before.is_some_and(|known| {
            known.data == extracted.data && known.title == extracted.title && known.fields == fields
        });
        let change = match before {
            None => "created",
            Some(_) if stale || same => "unchanged",
            Some(_) => "updated",
        };
        let previous = before.map(|known| changed_members(&known.data, &extracted.data));
        // Unchanged data still gets the newer version, else a version in between could replace it.
        let updated_at = before
            .filter(|_| same)
            .map_or(event.accepted_at, |known| known.updated_at);
        evaluation.about.push(EventEntity {
            event: event.id,
            entity: key.clone(),
            change,
        });
        if !stale {
            evaluation.entities.push(EntityWrite {
                key: key.clone(),
                source: event.source,
                title: extracted.title.clone(),
                fields: fields.clone(),
                data: extracted.data.to_compact_string(),
                version,
                at: updated_at,
                event: event.id,
            });
            let (data, title) = (extracted.data.clone(), extracted.title);
            self.known.insert(
                key,
                Known {
                    data,
                    title,
                    fields,
                    version,
                    updated_at,
                },
            );
        }
        let event_type = match change {
            "created" => "entity.created",
            "updated" => "entity.updated",
            _ => return None,
        };
        let entity = EntityRef {
            entity_type: entity_type.to_owned(),
            unique_id: extracted.unique_id,
            version: version.to_string(),
        };
        Some(EntityEvent {
            event_type,
            entity,
            data: extracted.data,
            previous,
        })
    }

    /// Plans the deliveries of the event itself, then those of its entities' changes.
    fn plan_all(&self, arrival: &Arrival, data: &Json, changes: &[EntityEvent], evaluation: &mut Evaluation) {
        let mut index = 0;
        let event_type = arrival.event.event_type.as_str();
        let itself = Planning {
            arrival,
            event_type,
            data,
            entity: None,
            previous: None,
        };
        self.plan(&itself, &mut index, evaluation);
        for change in changes {
            let planning = Planning {
                arrival,
                event_type: change.event_type,
                data: &change.data,
                entity: Some(&change.entity),
                previous: change.previous.as_ref(),
            };
            self.plan(&planning, &mut index, evaluation);
        }
    }

    fn plan(&self, planning: &Planning<'_>, index: &mut u32, evaluation: &mut Evaluation) {
        for planned in plan::plan(self.snapshot, &planning.trigger(), index) {
            self.note_key(planning, &planned, evaluation);
            let rendering = Rendering {
                snapshot: self.snapshot,
                arrival: planning.arrival,
                event_type: planning.event_type,
                data: planning.data,
                entity: planning.entity,
                previous: planning.previous,
                max_inline_bytes: self.max_inline_bytes,
            };
            match render_delivery::render(&rendering, planned) {
                Ok(delivery) => evaluation.deliveries.push(delivery),
                Err(dead) => evaluation.stillborn.push(*dead),
            }
        }
    }

    /// Notes whether a delivery's ordering key resolves, and whether it is one by which its source
    /// keeps an order: without that, events with one lane key may be in several raw partitions.
    fn note_key(&self, planning: &Planning<'_>, planned: &plan::Planned, evaluation: &mut Evaluation) {
        let event = &planning.arrival.event;
        let (Some(source), Some(lane_key)) = (event.source, &planned.lane_key) else {
            return;
        };
        let field = planned
            .route
            .map_or_else(|| planned.destination.to_string(), |route| route.to_string());
        let keyed = planned
            .route
            .and_then(|id| self.snapshot.route(id))
            .and_then(|route| route.spec.ordering_key.as_ref());
        let path = keyed.map(|key| key.path.as_str().to_owned()).unwrap_or_default();
        let mode = self
            .snapshot
            .source(source)
            .map(|source| source.spec.effective_ordering().mode);
        let own_key = event.ordering_key.as_deref();
        let of_source_key = match planning.entity {
            Some(entity) if keyed.is_none() => own_key == Some(entity.unique_id.as_str()),
            _ => own_key == Some(lane_key),
        };
        let everything_in_one_lane = lane_key == "*";
        let mismatch = match mode {
            Some(OrderingMode::Source) | None => false,
            Some(OrderingMode::Key | OrderingMode::None) => !of_source_key || everything_in_one_lane,
        };
        let mut note = |code, wrong: bool| {
            let key = WarningKey {
                source,
                code,
                field: field.clone(),
            };
            let at = event.accepted_at;
            let finding = if wrong {
                Finding::Wrong {
                    path: path.clone(),
                    event: event.id,
                    at,
                }
            } else {
                Finding::Fine
            };
            evaluation.findings.push((key, finding));
        };
        note("ordering.key_unresolved", planned.key_unresolved);
        note("ordering.key_mismatch", mismatch && !planned.key_unresolved);
    }
}

/// What deliveries are planned for.
struct Planning<'a> {
    arrival: &'a Arrival,
    event_type: &'a str,
    data: &'a Json,
    entity: Option<&'a EntityRef>,
    previous: Option<&'a Members>,
}

impl Planning<'_> {
    fn trigger(&self) -> Trigger<'_> {
        let event = &self.arrival.event;
        Trigger {
            event: event.id,
            accepted_at: event.accepted_at,
            workspace: event.workspace,
            source: event.source,
            event_type: self.event_type,
            entity: self.entity,
            data: self.data,
            headers: &event.headers,
            query: &event.query,
            method: &event.method,
            ordering_key: event.ordering_key.as_deref(),
            replay: None,
            partition: self.arrival.partition,
            sequence: self.arrival.sequence,
        }
    }
}

/// Of several entities with one unique id in a payload the last one counts.
fn last_of_each(extracted: Vec<Extracted>) -> Vec<Extracted> {
    let mut seen = HashSet::new();
    let mut last: Vec<Extracted> = extracted
        .into_iter()
        .rev()
        .filter(|entity| seen.insert(entity.unique_id.clone()))
        .collect();
    last.reverse();
    last
}

/// Notes which of the entity rules' fields did not resolve, and that the others did.
fn note_rules(source: &Source, arrival: &Arrival, warnings: &[Warning], evaluation: &mut Evaluation) {
    let Some(rules) = &source.spec.entity else { return };
    let key = |code, field: &str| WarningKey {
        source: source.id,
        code,
        field: field.to_owned(),
    };
    let fields = rules.fields.keys().map(|name| format!("fields.{name}"));
    let all = ["path", "unique_id", "title"]
        .map(str::to_owned)
        .into_iter()
        .chain(fields);
    for field in all.filter(|field| !warnings.iter().any(|warning| &warning.field == field)) {
        evaluation
            .findings
            .push((key("mapping.unresolved", &field), Finding::Fine));
    }
    for code in ["mapping.too_long", "mapping.too_many", "mapping.over_budget"] {
        for field in ["path", "unique_id"] {
            evaluation.findings.push((key(code, field), Finding::Fine));
        }
    }
    let (event, at) = (arrival.event.id, arrival.event.accepted_at);
    for warning in warnings {
        let finding = Finding::Wrong {
            path: warning.path.clone(),
            event,
            at,
        };
        evaluation
            .findings
            .push((key(warning.code, &warning.field), finding));
    }
}

/// The keys that a batch needs loaded: of the entities that its events are about.
pub fn entity_keys(snapshot: &Snapshot, arrivals: &[Arrival], readings: &[Reading]) -> Vec<EntityKey> {
    let mut keys = HashSet::new();
    for (arrival, reading) in arrivals.iter().zip(readings) {
        let Reading::Accepted {
            extraction: Some(extraction),
            ..
        } = reading
        else {
            continue;
        };
        let Some(rules) = rules_of(snapshot, arrival.event.source) else {
            continue;
        };
        for entity in &extraction.entities {
            keys.insert(EntityKey::new(arrival.event.workspace, &rules, &entity.unique_id));
        }
    }
    keys.into_iter().collect()
}

fn rules_of(snapshot: &Snapshot, source: Option<SourceId>) -> Option<String> {
    Some(
        snapshot
            .source(source?)?
            .spec
            .entity
            .as_ref()?
            .entity_type
            .clone(),
    )
}

/// What filters and rules look at in an event.
pub(crate) fn filter_input<'a>(event: &'a Event, payload: Option<&'a Json>) -> FilterInput<'a> {
    FilterInput {
        payload,
        headers: &event.headers,
        query: &event.query,
        method: &event.method,
    }
}
