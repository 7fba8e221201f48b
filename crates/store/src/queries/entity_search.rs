//! Searching entities by terms. Of several terms the one that fewest entities have leads: its list is
//! walked in order, and of each entity in it is asked whether it has the others. So a rare word is found
//! at once among a million entities, and of a common one the first page is.
//!
//! Where many have each of the terms and hardly any have all, a request looks at so many and gives what it
//! found, with the place where the next one goes on: no request is without an end.

use std::collections::{BTreeMap, BTreeSet};

use hookrail_domain::entity::terms;
use hookrail_domain::ids::WorkspaceId;
use hookrail_domain::json::Json;
use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::conditions::Conditions;
use super::entities::{EntityFilter, EntityList, EntityPage, EntityPlace, LOOKED_AT};
use crate::entities::{EntityKey, EntityRow};
use crate::{StoreError, entities, entity_terms, rows, statement};

/// Entities of a term's list that are looked at together.
const STEP: usize = 500;
/// How far a term's list is counted to see which is the shortest: one that a request looks at as a whole is
/// always told from longer ones.
const COUNTED: usize = LOOKED_AT;

/// One page of the entities that have what is wanted.
pub(super) async fn search<C: ConnectionTrait>(
    connection: &C,
    filter: &EntityFilter,
    page: &EntityPage,
) -> Result<EntityList, StoreError> {
    let Ok(workspace) = filter.workspace.parse::<WorkspaceId>() else {
        return Ok(EntityList::default());
    };
    let alternatives = match &filter.text {
        Some(text) => terms::of_text(&rows::escaped(text)),
        None => vec![Vec::new()],
    };
    let mut walks = Vec::new();
    for alternative in alternatives {
        let fields = filter
            .fields
            .iter()
            .map(|(name, value)| terms::of_field(name, value));
        let walk = Walk {
            workspace,
            filter,
            page,
            terms: alternative.into_iter().chain(fields).collect(),
        };
        walks.push(walk.run(connection).await?);
    }
    Ok(merge(walks, page))
}

/// The entities with this unique id, those that were deleted too, whatever their type.
pub(super) async fn with_id<C: ConnectionTrait>(
    connection: &C,
    workspace: WorkspaceId,
    id: &str,
) -> Result<Vec<EntityKey>, StoreError> {
    let sql = format!(
        "SELECT first_seen_at, entity_type, unique_id FROM entity_terms WHERE scope = $1 AND term = $2 \
         ORDER BY first_seen_at DESC LIMIT {STEP}"
    );
    let term = terms::of_id(id);
    let values = vec![entity_terms::scope(workspace).into(), rows::text(&term)];
    let found = statement::all(connection, &sql, values).await?;
    let places = found.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    let of_id = places
        .iter()
        .filter(|place| terms::of_id(&place.unique_id) == term);
    Ok(of_id
        .map(|place| EntityKey::new(workspace, &place.entity_type, &place.unique_id))
        .collect())
}

/// The pages of several alternatives as one, up to the first place at which one of them stopped looking.
fn merge(lists: Vec<EntityList>, page: &EntityPage) -> EntityList {
    let comes_before = |a: &EntityPlace, b: &EntityPlace| if page.newest_first { a > b } else { a < b };
    let stops = lists.iter().filter_map(|list| list.next.clone());
    let stop = stops.reduce(|a, b| if comes_before(&a, &b) { a } else { b });
    let all = lists.into_iter().flat_map(|list| list.rows);
    let within = all
        .map(|row| (EntityPlace::from(&row), row))
        .filter(|(place, _)| stop.as_ref().is_none_or(|stop| !comes_before(stop, place)));
    let sorted: BTreeMap<EntityPlace, EntityRow> = within.collect();
    let mut rows: Vec<EntityRow> = match page.newest_first {
        true => sorted.into_values().rev().collect(),
        false => sorted.into_values().collect(),
    };
    let is_cut = rows.len() > page.limit;
    rows.truncate(page.limit);
    let next = if is_cut {
        rows.last().map(EntityPlace::from)
    } else {
        stop
    };
    EntityList { rows, next }
}

/// A list of entities in their order: those with a term, or those of the wanted type.
#[derive(Clone, Copy)]
enum Listed<'a> {
    Term(&'a str),
    Type(&'a str),
}

/// Looking for the entities with all of some terms.
struct Walk<'a> {
    workspace: WorkspaceId,
    filter: &'a EntityFilter,
    page: &'a EntityPage,
    terms: BTreeSet<String>,
}

impl Walk<'_> {
    async fn run<C: ConnectionTrait>(&self, connection: &C) -> Result<EntityList, StoreError> {
        let leader = self.shortest(connection).await?;
        let others = self
            .terms
            .iter()
            .filter(|term| !matches!(leader, Listed::Term(leads) if leads == *term));
        let others: Vec<&String> = others.collect();
        let (mut list, mut after) = (EntityList::default(), self.page.after.clone());
        for _ in 0..self.page.looked_at.div_ceil(STEP) {
            let mut places = self.next(connection, leader, after.as_ref()).await?;
            let is_last = places.len() < STEP;
            after = places.last().cloned().or(after);
            places.retain(|place| {
                self.filter
                    .entity_type
                    .as_ref()
                    .is_none_or(|of| *of == place.entity_type)
            });
            for other in &others {
                places = self.having(connection, other, places).await?;
            }
            list.rows
                .extend(self.load(connection, places, list.rows.len()).await?);
            if list.rows.len() > self.page.limit {
                return Ok(EntityList::of(list.rows, self.page.limit));
            }
            if is_last {
                return Ok(list);
            }
        }
        list.next = after;
        Ok(list)
    }

    /// The shortest of the lists that all have to have the entity in them, as far as they are counted.
    async fn shortest<C: ConnectionTrait>(&self, connection: &C) -> Result<Listed<'_>, StoreError> {
        let of_type = self.filter.entity_type.as_deref().map(Listed::Type);
        let lists: Vec<Listed<'_>> = self
            .terms
            .iter()
            .map(|term| Listed::Term(term))
            .chain(of_type)
            .collect();
        let mut shortest = *lists.first().expect("a search has a term");
        if lists.len() == 1 {
            return Ok(shortest);
        }
        let mut fewest = i64::MAX;
        for list in lists {
            let count = self.count(connection, list).await?;
            if count < fewest {
                (shortest, fewest) = (list, count);
            }
        }
        Ok(shortest)
    }

    async fn count<C: ConnectionTrait>(&self, connection: &C, list: Listed<'_>) -> Result<i64, StoreError> {
        let (table, conditions) = self.all_of(list);
        let sql = format!(
            "SELECT COUNT(*) AS n FROM (SELECT 1 FROM {table} WHERE {} LIMIT {COUNTED}) AS counted",
            conditions.text()
        );
        let row = statement::first(connection, &sql, conditions.into_values()).await?;
        row.map_or(Ok(0), |row| statement::column(&row, "n"))
    }

    /// The next places of a list.
    async fn next<C: ConnectionTrait>(
        &self,
        connection: &C,
        list: Listed<'_>,
        after: Option<&EntityPlace>,
    ) -> Result<Vec<EntityPlace>, StoreError> {
        let (comparison, direction) = self.page.direction();
        let (table, mut conditions) = self.all_of(list);
        if let Some(after) = after {
            let mut values: Vec<Value> = vec![after.first_seen_at.into()];
            let clause = match list {
                Listed::Type(_) => format!("(first_seen_at, unique_id) {comparison} (?, ?)"),
                Listed::Term(_) => {
                    values.push(rows::text(&after.entity_type));
                    format!("(first_seen_at, entity_type, unique_id) {comparison} (?, ?, ?)")
                }
            };
            values.push(rows::text(&after.unique_id));
            conditions.add(&clause, values);
        }
        let order = match list {
            Listed::Type(_) => format!("first_seen_at {direction}, unique_id {direction}"),
            Listed::Term(_) => {
                format!("first_seen_at {direction}, entity_type {direction}, unique_id {direction}")
            }
        };
        let sql = format!(
            "SELECT first_seen_at, entity_type, unique_id FROM {table} WHERE {} ORDER BY {order} LIMIT {STEP}",
            conditions.text()
        );
        let found = statement::all(connection, &sql, conditions.into_values()).await?;
        found.iter().map(place).collect()
    }

    fn all_of(&self, list: Listed<'_>) -> (&'static str, Conditions) {
        let mut conditions = Conditions::default();
        match list {
            Listed::Term(term) => {
                conditions.add("scope = ?", [entity_terms::scope(self.workspace).into()]);
                conditions.equal("term", Some(term));
                ("entity_terms", conditions)
            }
            Listed::Type(entity_type) => {
                conditions.equal("workspace", Some(&self.filter.workspace));
                conditions.equal("entity_type", Some(entity_type));
                conditions.add("deleted_at IS NULL", []);
                ("entities", conditions)
            }
        }
    }

    /// Those of `places` whose entities have a term, in the same order.
    async fn having<C: ConnectionTrait>(
        &self,
        connection: &C,
        term: &str,
        places: Vec<EntityPlace>,
    ) -> Result<Vec<EntityPlace>, StoreError> {
        let scope = entity_terms::scope(self.workspace);
        let tuples = places.iter().map(|place| {
            vec![
                scope.into(),
                rows::text(term),
                place.first_seen_at.into(),
                rows::text(&place.entity_type),
                rows::text(&place.unique_id),
            ]
        });
        let mut found = BTreeSet::new();
        for (tuples, values) in rows::lookups(tuples.collect()) {
            let sql = format!(
                "SELECT first_seen_at, entity_type, unique_id {}",
                rows::joined("entity_terms", &entity_terms::ENTRY, &tuples)
            );
            for row in statement::all(connection, &sql, values).await? {
                found.insert(place(&row)?);
            }
        }
        Ok(places.into_iter().filter(|place| found.contains(place)).collect())
    }

    /// The entities at these places that are what is wanted, in order, until with those that are `there` it
    /// is one more than the limit.
    async fn load<C: ConnectionTrait>(
        &self,
        connection: &C,
        places: Vec<EntityPlace>,
        there: usize,
    ) -> Result<Vec<EntityRow>, StoreError> {
        let mut wanted = Vec::new();
        for some in places.chunks(self.page.limit + 1) {
            let keys: Vec<EntityKey> = some
                .iter()
                .map(|place| EntityKey::new(self.workspace, &place.entity_type, &place.unique_id))
                .collect();
            let mut found = entities::load(connection, &keys).await?;
            let rows = keys.iter().zip(some).filter_map(|(key, place)| {
                let row = found.remove(key)?;
                (row.first_seen_at == place.first_seen_at && self.is_wanted(&row)).then_some(row)
            });
            wanted.extend(rows);
            if there + wanted.len() > self.page.limit {
                break;
            }
        }
        Ok(wanted)
    }

    fn is_wanted(&self, row: &EntityRow) -> bool {
        row.deleted_at.is_none()
            && entity_terms::of_row(row).is_superset(&self.terms)
            && has_fields(row, &self.filter.fields)
    }
}

/// Two values that are too long for a term may have the same one.
fn has_fields(row: &EntityRow, wanted: &[(String, String)]) -> bool {
    if wanted.is_empty() {
        return true;
    }
    let fields = row.fields.parse::<Json>().unwrap_or_default();
    let is = |field: &Json, value: &str| {
        let items = field.as_array().unwrap_or_default();
        field.bare_text() == value
            || items
                .iter()
                .any(|item| item.is_scalar() && item.bare_text() == value)
    };
    wanted
        .iter()
        .all(|(name, value)| fields.get(name).is_some_and(|field| is(field, value)))
}

fn place(row: &QueryResult) -> Result<EntityPlace, StoreError> {
    Ok(EntityPlace {
        first_seen_at: statement::column(row, "first_seen_at")?,
        entity_type: statement::column(row, "entity_type")?,
        unique_id: statement::column(row, "unique_id")?,
    })
}
