//! Searching events by what they are about: their id, their type, and the type, unique id, title and fields of
//! their entities.
//!
//! Few entities are looked up first, and then their events. Where many have what is wanted, the events are
//! walked in order instead, and of each is asked what it is about: what is common is soon found. A request
//! looks at so many events and gives what it found, with the place where the next one goes on.

use std::collections::{BTreeSet, HashMap};

use hookrail_domain::entity::terms;
use hookrail_domain::event_type::WEBHOOK_RECEIVED;
use hookrail_domain::ids::{EventId, WorkspaceId};
use sea_orm::{ConnectionTrait, Value};

use super::conditions::Conditions;
use super::entities::{self as entity_lists, EntityFilter, EntityPage, LOOKED_AT};
use super::entity_search;
use super::events::{EventFilter, conditions_of, find};
use crate::entities::{self, EntityKey, EntityRow, key_of};
use crate::events::{COLUMNS, EventRow};
use crate::{IdPage, StoreError, entity_terms, rows, statement};

/// Entities whose events are looked up one by one.
const FEW_ENTITIES: usize = 40;
/// Events looked at together.
const STEP: usize = 200;
/// Steps of one request.
const STEPS: usize = 20;

/// A page of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventList {
    /// Those on it. A search that looked at many without finding enough gives fewer than the limit.
    pub rows: Vec<EventRow>,
    /// The id after which the next page begins; none = this is the last one.
    pub next: Option<String>,
}

/// One page of the events that `filter` takes and that have to do with `text`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn search<C: ConnectionTrait>(
    connection: &C,
    filter: &EventFilter,
    text: &str,
    page: &IdPage,
) -> Result<EventList, StoreError> {
    let Ok(workspace) = filter.workspace.parse::<WorkspaceId>() else {
        return Ok(EventList::default());
    };
    if let Ok(id) = text.trim().parse::<EventId>() {
        return one(connection, filter, id).await;
    }
    let text = rows::escaped(text.trim());
    let search = EventSearch {
        workspace,
        filter,
        text: &text,
        page,
    };
    match search.entities(connection).await? {
        Some(keys) if text != WEBHOOK_RECEIVED => search.of_few(connection, &keys).await,
        _ => search.of_many(connection).await,
    }
}

async fn one<C: ConnectionTrait>(
    connection: &C,
    filter: &EventFilter,
    id: EventId,
) -> Result<EventList, StoreError> {
    let found = find(connection, &filter.workspace, id).await?;
    let wanted = |row: &EventRow| {
        filter.status.as_ref().is_none_or(|status| *status == row.status)
            && filter
                .source
                .as_ref()
                .is_none_or(|source| Some(source) == row.source.as_ref())
            && filter.span.since.is_none_or(|since| row.accepted_at >= since)
            && filter.span.until.is_none_or(|until| row.accepted_at < until)
    };
    Ok(EventList {
        rows: found.into_iter().filter(wanted).collect(),
        next: None,
    })
}

/// The ids of those of `events`, all of one workspace, that have to do with `text`.
///
/// # Errors
/// When the database cannot be used now.
pub async fn those_about<C: ConnectionTrait>(
    connection: &C,
    text: &str,
    events: &[EventRow],
) -> Result<BTreeSet<String>, StoreError> {
    let workspace = events.first().and_then(|row| row.workspace.parse().ok());
    let Some(workspace) = workspace else {
        return Ok(BTreeSet::new());
    };
    let text = text.trim();
    let mut found = about(connection, workspace, &rows::escaped(text), events).await?;
    let by_itself = events
        .iter()
        .filter(|row| row.id == text || row.event_type == text);
    found.extend(by_itself.map(|row| row.id.clone()));
    Ok(found)
}

struct EventSearch<'a> {
    workspace: WorkspaceId,
    filter: &'a EventFilter,
    text: &'a str,
    page: &'a IdPage,
}

impl EventSearch<'_> {
    /// The entities that have to do with the text; `None` = they are many.
    async fn entities<C: ConnectionTrait>(
        &self,
        connection: &C,
    ) -> Result<Option<Vec<EntityKey>>, StoreError> {
        let of_workspace = EntityFilter {
            workspace: self.filter.workspace.clone(),
            ..EntityFilter::default()
        };
        let with_text = EntityFilter {
            text: Some(self.text.to_owned()),
            ..of_workspace.clone()
        };
        let of_type = EntityFilter {
            entity_type: Some(self.text.to_owned()),
            ..of_workspace
        };
        let page = EntityPage {
            limit: FEW_ENTITIES,
            after: None,
            newest_first: true,
            looked_at: LOOKED_AT,
        };
        let mut keys: BTreeSet<EntityKey> = entity_search::with_id(connection, self.workspace, self.text)
            .await?
            .into_iter()
            .collect();
        for wanted in [with_text, of_type] {
            let found = entity_lists::list(connection, &wanted, &page).await?;
            if found.next.is_some() {
                return Ok(None);
            }
            keys.extend(found.rows.iter().map(key_of).collect::<Result<Vec<_>, _>>()?);
        }
        Ok((keys.len() <= FEW_ENTITIES).then(|| keys.into_iter().collect()))
    }

    async fn of_few<C: ConnectionTrait>(
        &self,
        connection: &C,
        keys: &[EntityKey],
    ) -> Result<EventList, StoreError> {
        let (mut list, mut after) = (EventList::default(), self.page.after.clone());
        for _ in 0..STEPS {
            let ids = self.next_ids(connection, keys, after.take()).await?;
            let is_last = ids.len() < STEP;
            after = ids.last().cloned();
            if !ids.is_empty() {
                list.rows.extend(self.those(connection, &ids).await?);
            }
            if is_last || list.rows.len() > self.limit() {
                return Ok(self.cut(list));
            }
        }
        list.next = after;
        Ok(list)
    }

    async fn of_many<C: ConnectionTrait>(&self, connection: &C) -> Result<EventList, StoreError> {
        let (mut list, mut step) = (EventList::default(), self.page.clone());
        step.limit = STEP as u64;
        for _ in 0..STEPS {
            let (sql, values) = conditions_of(self.filter).page(COLUMNS, "events", &step);
            let events = event_rows(connection, &sql, values).await?;
            let is_last = events.len() < STEP;
            step.after = events.last().map(|row| row.id.clone()).or(step.after);
            let about = about(connection, self.workspace, self.text, &events).await?;
            let wanted = |row: &EventRow| row.event_type == self.text || about.contains(&row.id);
            list.rows.extend(events.into_iter().filter(wanted));
            if is_last || list.rows.len() > self.limit() {
                return Ok(self.cut(list));
            }
        }
        list.next = step.after;
        Ok(list)
    }

    /// The next ids, at most [`STEP`], of events of the type and of those about the entities.
    async fn next_ids<C: ConnectionTrait>(
        &self,
        connection: &C,
        keys: &[EntityKey],
        after: Option<String>,
    ) -> Result<Vec<String>, StoreError> {
        let page = IdPage {
            limit: STEP as u64,
            after,
            newest_first: self.page.newest_first,
        };
        let mut ids = BTreeSet::new();
        let mut of_type = Conditions::default();
        of_type.equal("workspace", Some(&self.filter.workspace));
        of_type.equal("event_type", Some(self.text));
        // As the index says it, which has all other types.
        of_type.add(&format!("event_type <> '{WEBHOOK_RECEIVED}'"), []);
        let (sql, values) = of_type.page("id", "events", &page);
        for row in statement::all(connection, &sql, values).await? {
            ids.insert(statement::column(&row, "id")?);
        }
        let (comparison, direction) = page.direction();
        for key in keys {
            let sql = format!(
                "SELECT event FROM event_entities WHERE workspace = $1 AND entity_type = $2 AND unique_id = $3 \
                 AND event {comparison} $4 ORDER BY event {direction} LIMIT {STEP}"
            );
            let values = vec![
                rows::id(key.workspace),
                rows::text(&key.entity_type),
                rows::text(&key.unique_id),
                page.bound().into(),
            ];
            for row in statement::all(connection, &sql, values).await? {
                ids.insert(statement::column(&row, "event")?);
            }
        }
        let ordered: Vec<String> = match page.newest_first {
            true => ids.into_iter().rev().take(STEP).collect(),
            false => ids.into_iter().take(STEP).collect(),
        };
        Ok(ordered)
    }

    /// Those of these events that the filter takes, in order.
    async fn those<C: ConnectionTrait>(
        &self,
        connection: &C,
        ids: &[String],
    ) -> Result<Vec<EventRow>, StoreError> {
        let mut conditions = conditions_of(self.filter);
        let places = vec!["?"; ids.len()].join(", ");
        conditions.add(&format!("id IN ({places})"), ids.iter().map(rows::text));
        let all = IdPage {
            limit: STEP as u64,
            after: None,
            newest_first: self.page.newest_first,
        };
        let (sql, values) = conditions.page(COLUMNS, "events", &all);
        event_rows(connection, &sql, values).await
    }

    fn limit(&self) -> usize {
        usize::try_from(self.page.limit).unwrap_or(usize::MAX)
    }

    fn cut(&self, mut list: EventList) -> EventList {
        let has_more = list.rows.len() > self.limit();
        list.rows.truncate(self.limit());
        list.next = list.rows.last().filter(|_| has_more).map(|row| row.id.clone());
        list
    }
}

/// Those of `events` that are about an entity that has to do with the text.
async fn about<C: ConnectionTrait>(
    connection: &C,
    workspace: WorkspaceId,
    text: &str,
    events: &[EventRow],
) -> Result<BTreeSet<String>, StoreError> {
    let pairs = entities_of(connection, workspace, events).await?;
    let keys: BTreeSet<EntityKey> = pairs.iter().map(|(_, key)| key.clone()).collect();
    let keys: Vec<EntityKey> = keys.into_iter().collect();
    let stored: HashMap<EntityKey, EntityRow> = entities::load(connection, &keys).await?;
    let alternatives: Vec<BTreeSet<String>> = terms::of_text(text)
        .into_iter()
        .map(|terms| terms.into_iter().collect())
        .collect();
    let has = |key: &EntityKey| {
        let Some(row) = stored.get(key) else { return false };
        let terms = entity_terms::of_row(row);
        key.entity_type == text || alternatives.iter().any(|all| terms.is_superset(all))
    };
    Ok(pairs
        .into_iter()
        .filter(|(_, key)| has(key))
        .map(|(event, _)| event)
        .collect())
}

/// Which entities these events are about: an event's id with an entity's key.
async fn entities_of<C: ConnectionTrait>(
    connection: &C,
    workspace: WorkspaceId,
    events: &[EventRow],
) -> Result<Vec<(String, EntityKey)>, StoreError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT event, entity_type, unique_id FROM event_entities WHERE event IN ({})",
        rows::places(1, events.len())
    );
    let ids = events.iter().map(|row| rows::text(&row.id)).collect();
    let mut pairs = Vec::new();
    for row in statement::all(connection, &sql, ids).await? {
        let entity_type: String = statement::column(&row, "entity_type")?;
        let unique_id: String = statement::column(&row, "unique_id")?;
        let key = EntityKey::new(workspace, &entity_type, &unique_id);
        pairs.push((statement::column(&row, "event")?, key));
    }
    Ok(pairs)
}

async fn event_rows<C: ConnectionTrait>(
    connection: &C,
    sql: &str,
    values: Vec<Value>,
) -> Result<Vec<EventRow>, StoreError> {
    statement::rows(connection, sql, values).await
}
