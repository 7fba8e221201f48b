//! What an event says of its source's rules: which work, which don't.

use hookrail_domain::{
    delivery::EntityRef,
    entity::{Build, Warning},
    event::Event,
    fetcher::answer::FetchAnswer,
    ids::RouteId,
    plan::Planned,
    snapshot::Snapshot,
    source::{OrderingMode, Source},
};
use hookrail_store::source_warnings::{Finding, WarningKey};

use crate::read_event::{FILTER_OVER_BUDGET, Reading};

/// What an event says of one rule.
pub(crate) type Said = (WarningKey, Finding);

/// Codes of what may be wrong with all entities of a payload together.
pub(crate) const LIMIT_CODES: [&str; 3] = ["mapping.too_long", "mapping.too_many", "mapping.over_budget"];

/// Whether a source's filter could be asked about an event.
pub(crate) fn of_filter(source: &Source, event: &Event, verdict: &Reading) -> Option<Said> {
    source.spec.filter.as_ref()?;
    if matches!(verdict, Reading::Held) {
        return None;
    }
    let key = WarningKey {
        source: source.id,
        code: FILTER_OVER_BUDGET,
        field: "filter".to_owned(),
    };
    let is_over = matches!(verdict, Reading::Failed(failure) if failure.code == FILTER_OVER_BUDGET);
    Some((key, if is_over { wrong(event, "") } else { fine(event) }))
}

/// Whether routes' filters could be asked about an event.
pub(crate) fn of_route_filters(event: &Event, filters: &[(RouteId, bool)]) -> Vec<Said> {
    let Some(source) = event.source else {
        return Vec::new();
    };
    let said = |(route, is_over): &(RouteId, bool)| {
        let key = WarningKey {
            source,
            code: FILTER_OVER_BUDGET,
            field: route.to_string(),
        };
        (key, if *is_over { wrong(event, "") } else { fine(event) })
    };
    filters.iter().map(said).collect()
}

/// Which of the entity rules' fields did not resolve, and that the others did.
pub(crate) fn of_entity_rules(source: &Source, event: &Event, warnings: &[Warning]) -> Vec<Said> {
    let Some(rules) = &source.spec.entity else {
        return Vec::new();
    };
    let key = |code, field: &str| WarningKey {
        source: source.id,
        code,
        field: field.to_owned(),
    };
    let is_wrong = |field: &str| warnings.iter().any(|warning| warning.field == field);
    let fields = rules.fields.keys().map(|name| format!("fields.{name}"));
    let mut all: Vec<String> = ["path", "unique_id"].map(str::to_owned).into();
    // Where there is no entity, nothing was looked for in it. What a fetcher gets comes later.
    if rules.build == Build::Payload && !all.iter().any(|field| is_wrong(field)) {
        all.extend(std::iter::once("title".to_owned()).chain(fields));
    }
    let resolved = all.iter().filter(|field| !is_wrong(field));
    let mut said: Vec<Said> = resolved
        .map(|field| (key("mapping.unresolved", field), fine(event)))
        .collect();
    let limits = LIMIT_CODES
        .iter()
        .flat_map(|code| ["path", "unique_id"].map(|field| key(code, field)));
    said.extend(limits.map(|key| (key, fine(event))));
    // After what is fine: the last finding of a rule counts.
    said.extend(warnings.iter().map(|warning| {
        let finding = wrong(event, &warning.path);
        (key(warning.code, &warning.field), finding)
    }));
    said
}

/// Whether a delivery's ordering key resolves, and whether it is one by which its source keeps an
/// order: without that, events with one lane key may be in several raw partitions.
pub(crate) fn of_lane_key(
    snapshot: &Snapshot,
    event: &Event,
    entity: Option<&EntityRef>,
    planned: &Planned,
) -> Vec<Said> {
    let (Some(source), Some(lane_key)) = (event.source, &planned.lane_key) else {
        return Vec::new();
    };
    let field = planned
        .route
        .map_or_else(|| planned.destination.to_string(), |route| route.to_string());
    let route = planned.route.and_then(|id| snapshot.route(id));
    let keyed = route.and_then(|route| route.spec.ordering_key.as_ref());
    let path = keyed.map(|key| key.path.as_str()).unwrap_or_default();
    let own_key = event.ordering_key.as_deref();
    let of_source_key = match entity {
        Some(entity) if keyed.is_none() => own_key == Some(entity.unique_id.as_str()),
        _ => own_key == Some(lane_key),
    };
    let everything_in_one_lane = lane_key == "*";
    let mode = snapshot
        .source(source)
        .map(|source| source.spec.effective_ordering().mode);
    // A fetcher's answers are in order by their entity, and by nothing else.
    let mode = if FetchAnswer::of(event).is_some() {
        Some(OrderingMode::Key)
    } else {
        mode
    };
    let mismatch = match mode {
        Some(OrderingMode::Source) | None => false,
        Some(OrderingMode::Key | OrderingMode::None) => !of_source_key || everything_in_one_lane,
    };
    let said = |code, is_wrong: bool| {
        let field = field.clone();
        let finding = if is_wrong { wrong(event, path) } else { fine(event) };
        (WarningKey { source, code, field }, finding)
    };
    vec![
        said("ordering.key_unresolved", planned.key_unresolved),
        said("ordering.key_mismatch", mismatch && !planned.key_unresolved),
    ]
}

pub(crate) fn fine(event: &Event) -> Finding {
    Finding::Fine {
        at: event.accepted_at,
    }
}

pub(crate) fn wrong(event: &Event, path: &str) -> Finding {
    Finding::Wrong {
        path: path.to_owned(),
        event: event.id,
        at: event.accepted_at,
    }
}
