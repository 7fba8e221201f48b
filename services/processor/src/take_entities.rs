//! Taking an event's entities in: which of them are new, changed or stale, given those that are known.

use std::collections::{HashMap, HashSet};

use hookrail_domain::{
    delivery::EntityRef,
    entity::Extracted,
    ids::EventId,
    json::{Json, Members},
};
use hookrail_store::{
    entities::{EntityKey, EntityRow, EntityVersion, EntityWrite},
    event_entities::EventEntity,
};

use crate::{
    changed_members::changed_members,
    evaluation::{Arrival, Evaluation},
};

/// What an event did to an entity.
pub(crate) struct EntityEvent {
    pub(crate) event_type: &'static str,
    pub(crate) entity: EntityRef,
    pub(crate) data: Json,
    /// The members that changed with their values before; `None` = it is new.
    pub(crate) previous: Option<Members>,
}

/// The entities that a batch's events are about, as they are before the next of these events.
pub(crate) struct KnownEntities {
    known: HashMap<EntityKey, Known>,
    /// What a replay's events did before, by event, entity type and unique id.
    changes: HashMap<(EventId, String, String), String>,
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

impl KnownEntities {
    /// What was stored before the batch; for a replay with the `changes` that its events made before.
    pub(crate) fn stored(
        rows: HashMap<EntityKey, EntityRow>,
        changes: HashMap<(EventId, String, String), String>,
    ) -> Self {
        let known = rows
            .into_iter()
            .filter_map(|(key, row)| Some((key, Known::read(row)?)));
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
            _ => None,
        }
    }

    /// A known entity's data, title, and fields as JSON text.
    pub(crate) fn stored_as(&self, key: &EntityKey) -> Option<(&Json, Option<&str>, &str)> {
        let known = self.known.get(key)?;
        Some((&known.data, known.title.as_deref(), &known.fields))
    }

    /// Takes an event's entities in; gives what changed.
    pub(crate) fn take_in(
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
        let change_before = self.change_before(event.id, &key);
        let change = change_before.unwrap_or(change);
        // What the entity was before it then is not known any more.
        let previous = before
            .filter(|_| change_before.is_none())
            .map(|known| changed_members(&known.data, &extracted.data));
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
