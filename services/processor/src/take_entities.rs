//! Taking an event's entities in: which of them are new, changed, deleted or stale, given those that are
//! known. What is written of them is decided in [`crate::known_entity`].

use std::collections::{HashMap, HashSet};

use hookrail_domain::{
    delivery::EntityRef,
    entity::{Extracted, changed_members},
    event_type::{ENTITY_CREATED, ENTITY_DELETED, ENTITY_UPDATED},
    ids::EventId,
    json::{Json, Members},
};
use hookrail_store::{
    entities::{EntityKey, EntityRow},
    event_entities::EventEntity,
};

use crate::{
    evaluation::{Arrival, Evaluation},
    known_entity::{self, Incoming, Known},
};

/// What an event did to an entity.
pub(crate) struct EntityEvent {
    pub(crate) event_type: &'static str,
    pub(crate) entity: EntityRef,
    pub(crate) data: Json,
    /// The members that changed with their values before, of a deleted one its fields; `None` = it is new.
    pub(crate) previous: Option<Members>,
}

/// What an event's entities are, and how many of their versions are kept.
#[derive(Clone, Copy)]
pub(crate) struct Kind<'a> {
    pub(crate) entity_type: &'a str,
    pub(crate) history: u32,
}

/// The entities that a batch's events are about, as they are before the next of these events.
pub(crate) struct KnownEntities {
    known: HashMap<EntityKey, Known>,
    /// What a replay's events did before, by event, entity type and unique id.
    changes: HashMap<(EventId, String, String), String>,
}

impl KnownEntities {
    /// What was stored before the batch; for a replay with the `changes` that its events made before.
    pub(crate) fn stored(
        rows: HashMap<EntityKey, EntityRow>,
        changes: HashMap<(EventId, String, String), String>,
    ) -> Self {
        let known = rows
            .into_iter()
            .filter_map(|(key, row)| Some((key, Known::read(&row)?)));
        Self {
            known: known.collect(),
            changes,
        }
    }

    /// What the event did to the entity before, where a replay has it evaluated again.
    fn change_before(&self, event: EventId, key: &EntityKey) -> Option<&'static str> {
        let place = (event, key.entity_type.clone(), key.unique_id.clone());
        match self.changes.get(&place)?.as_str() {
            "created" => Some("created"),
            "updated" => Some("updated"),
            "deleted" => Some("deleted"),
            _ => None,
        }
    }

    /// A known entity's data, title, and fields as JSON text.
    pub(crate) fn stored_as(&self, key: &EntityKey) -> Option<(&Json, Option<&str>, &str)> {
        let known = self.known.get(key).filter(|known| !known.is_deleted)?;
        Some((&known.data, known.title.as_deref(), &known.fields))
    }

    /// Takes an event's entities in; gives what changed.
    pub(crate) fn take_in(
        &mut self,
        arrival: &Arrival,
        kind: Kind<'_>,
        extracted: Vec<Extracted>,
        evaluation: &mut Evaluation,
    ) -> Vec<EntityEvent> {
        let last = last_of_each(extracted);
        last.into_iter()
            .filter_map(|entity| self.entity(arrival, kind, entity, evaluation))
            .collect()
    }

    /// Deletes an entity that a person wants gone.
    pub(crate) fn delete(
        &mut self,
        arrival: &Arrival,
        kind: Kind<'_>,
        unique_id: String,
        evaluation: &mut Evaluation,
    ) -> Vec<EntityEvent> {
        let gone = Extracted {
            unique_id,
            title: None,
            fields: Members::new(),
            data: Json::Null,
            deletes: true,
        };
        self.take_in(arrival, kind, vec![gone], evaluation)
    }

    fn entity(
        &mut self,
        arrival: &Arrival,
        kind: Kind<'_>,
        extracted: Extracted,
        evaluation: &mut Evaluation,
    ) -> Option<EntityEvent> {
        let (event, version) = (&arrival.event, arrival.version());
        let key = EntityKey::new(event.workspace, kind.entity_type, &extracted.unique_id);
        let fields = Json::Object(extracted.fields.clone()).to_compact_string();
        let incoming = Incoming {
            event: event.id,
            source: event.source,
            at: event.accepted_at,
            version,
            history: kind.history,
            extracted: &extracted,
            fields: &fields,
        };
        let before = self.known.get(&key);
        let is_stale = before.is_some_and(|known| !version.replaces(&known.version));
        let does = match is_stale {
            true => "unchanged",
            false => known_entity::change_of(before, &incoming),
        };
        let did_before = self.change_before(event.id, &key);
        let change = did_before.unwrap_or(does);
        evaluation.about.push(EventEntity {
            event: event.id,
            entity: key.clone(),
            change,
        });
        let told = tell(change, did_before.is_some(), before, &extracted);
        if !is_stale {
            let after = known_entity::write(before, &key, does, &incoming, evaluation);
            self.known.insert(key, after);
        }
        let (event_type, data, previous) = told?;
        let entity = EntityRef {
            entity_type: kind.entity_type.to_owned(),
            unique_id: extracted.unique_id,
            version: version.to_string(),
        };
        Some(EntityEvent {
            event_type,
            entity,
            data,
            previous,
        })
    }
}

/// The event type of a change, with its data and what was before. What the entity was before an event that is
/// processed `again` is not known any more; of a deleted one is known what it was last.
fn tell(
    change: &str,
    again: bool,
    before: Option<&Known>,
    extracted: &Extracted,
) -> Option<(&'static str, Json, Option<Members>)> {
    let changed = || {
        let known = before.filter(|known| !again && !known.is_deleted)?;
        Some(changed_members(&known.data, &extracted.data))
    };
    match change {
        "created" => Some((ENTITY_CREATED, extracted.data.clone(), None)),
        "updated" => Some((ENTITY_UPDATED, extracted.data.clone(), changed())),
        "deleted" => {
            let data = before.map_or(&extracted.data, |known| &known.data);
            let fields = before.and_then(|known| known.fields.parse::<Json>().ok());
            let fields = fields.and_then(|fields| fields.as_object().cloned());
            Some((ENTITY_DELETED, data.clone(), fields))
        }
        _ => None,
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
