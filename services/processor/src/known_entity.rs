//! An entity as the events of a batch find it, one after the other, and what an event makes of it.

use hookrail_domain::{
    entity::Extracted,
    ids::{EventId, SourceId},
    json::Json,
};
use hookrail_store::{
    entities::{EntityBefore, EntityKey, EntityRow, EntityVersion, EntityWrite},
    entity_versions::{VersionTrim, VersionWrite},
};

use crate::evaluation::Evaluation;

/// An entity as it was before an event.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) data: Json,
    pub(crate) title: Option<String>,
    /// A JSON object.
    pub(crate) fields: String,
    pub(crate) version: EntityVersion,
    pub(crate) is_deleted: bool,
    first_seen_at: i64,
    updated_at: i64,
    /// The event that changed it last.
    event: EventId,
    versions: u64,
    has_terms: bool,
}

/// What comes over an entity: an event that says what it is now, or that it is gone.
pub(crate) struct Incoming<'a> {
    pub(crate) event: EventId,
    pub(crate) source: Option<SourceId>,
    pub(crate) at: i64,
    pub(crate) version: EntityVersion,
    /// Versions kept of the entity.
    pub(crate) history: u32,
    pub(crate) extracted: &'a Extracted,
    /// The extracted fields as they are stored.
    pub(crate) fields: &'a str,
}

impl Known {
    pub(crate) fn read(row: &EntityRow) -> Option<Self> {
        // What can't be read counts as not stored; storing still goes by its version.
        Some(Self {
            data: Json::parse(row.data.as_bytes()).ok()?,
            title: row.title.clone(),
            fields: row.fields.clone(),
            version: row.version(),
            is_deleted: row.deleted_at.is_some(),
            first_seen_at: row.first_seen_at,
            updated_at: row.updated_at,
            event: row.last_event_id.parse().ok()?,
            versions: row.versions.unsigned_abs(),
            has_terms: row.terms_rules.is_some(),
        })
    }

    pub(crate) fn is(&self, incoming: &Incoming<'_>) -> bool {
        let extracted = incoming.extracted;
        !self.is_deleted
            && self.data == extracted.data
            && self.title == extracted.title
            && self.fields == incoming.fields
    }

    fn before(&self) -> EntityBefore {
        EntityBefore {
            version: self.version,
            first_seen_at: self.first_seen_at,
            title: self.title.clone(),
            fields: self.fields.clone(),
            is_deleted: self.is_deleted,
            has_terms: self.has_terms,
        }
    }
}

/// What `incoming` does to an entity that is not newer: `created`, `updated`, `deleted` or `unchanged`.
pub(crate) fn change_of(before: Option<&Known>, incoming: &Incoming<'_>) -> &'static str {
    let stored = before.filter(|known| !known.is_deleted);
    match stored {
        Some(_) if incoming.extracted.deletes => "deleted",
        None if incoming.extracted.deletes => "unchanged",
        None => "created",
        Some(known) if known.is(incoming) => "unchanged",
        Some(_) => "updated",
    }
}

/// Writes what `incoming` makes of an entity, with the versions that are kept; gives the entity as the next
/// event finds it. An entity that nobody stored leaves a tombstone too when it is deleted: an older event that
/// is still on its way must not create it.
pub(crate) fn write(
    before: Option<&Known>,
    key: &EntityKey,
    change: &'static str,
    incoming: &Incoming<'_>,
    evaluation: &mut Evaluation,
) -> Known {
    let mut after = after(before, change, incoming);
    keep_versions(before, &mut after, key, change, incoming.history, evaluation);
    evaluation.entities.push(EntityWrite {
        key: key.clone(),
        source: incoming.source,
        title: after.title.clone(),
        fields: after.fields.clone(),
        data: after.data.to_compact_string(),
        version: after.version,
        first_seen_at: after.first_seen_at,
        at: after.updated_at,
        event: after.event,
        deleted_at: after.is_deleted.then_some(incoming.at),
        versions: after.versions,
        before: before.map(Known::before),
    });
    after
}

fn after(before: Option<&Known>, change: &str, incoming: &Incoming<'_>) -> Known {
    let extracted = incoming.extracted;
    // Of what is deleted stays what it was last.
    let (data, title, fields) = match before.filter(|_| extracted.deletes) {
        Some(known) => (known.data.clone(), known.title.clone(), known.fields.clone()),
        None => (
            extracted.data.clone(),
            extracted.title.clone(),
            incoming.fields.to_owned(),
        ),
    };
    // Unchanged data still gets the newer version, else a version in between could replace it.
    let unchanged = before.filter(|_| change == "unchanged");
    let goes_on = before.filter(|_| change != "created");
    Known {
        data,
        title,
        fields,
        version: incoming.version,
        is_deleted: extracted.deletes,
        first_seen_at: goes_on.map_or(incoming.at, |known| known.first_seen_at),
        updated_at: unchanged.map_or(incoming.at, |known| known.updated_at),
        event: unchanged.map_or(incoming.event, |known| known.event),
        versions: before.map_or(0, |known| known.versions),
        has_terms: true,
    }
}

/// Keeps the new version, and the one before it where that was the only one. What never changed is its own
/// only version.
fn keep_versions(
    before: Option<&Known>,
    after: &mut Known,
    key: &EntityKey,
    change: &'static str,
    history: u32,
    evaluation: &mut Evaluation,
) {
    if change == "unchanged" {
        return;
    }
    let Some(before) = before else { return };
    if history <= 1 {
        // The newest one is the entity itself.
        trim(key, before.versions, evaluation);
        after.versions = 0;
        return;
    }
    if before.versions == 0 && before.is_deleted {
        return;
    }
    if before.versions == 0 {
        let first = match before.updated_at == before.first_seen_at {
            true => "created",
            false => "updated",
        };
        after.versions = 1;
        evaluation
            .versions
            .push(version(key, before, first, after.versions));
    }
    after.versions += 1;
    evaluation
        .versions
        .push(version(key, after, change, after.versions));
    trim(key, after.versions.saturating_sub(u64::from(history)), evaluation);
}

fn trim(key: &EntityKey, through: u64, evaluation: &mut Evaluation) {
    if through > 0 {
        evaluation.trims.push(VersionTrim {
            key: key.clone(),
            through,
        });
    }
}

fn version(key: &EntityKey, known: &Known, change: &'static str, number: u64) -> VersionWrite {
    VersionWrite {
        key: key.clone(),
        number,
        version: known.version,
        change,
        event: known.event,
        at: known.updated_at,
        title: known.title.clone(),
        fields: known.fields.clone(),
        data: known.data.to_compact_string(),
    }
}
