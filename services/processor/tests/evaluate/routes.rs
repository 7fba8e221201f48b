//! What an event says of the routes that it takes: their ordering keys, their filters.

use super::*;

/// A source with one destination, to which a route leads with these members besides the usual.
fn with_route(source: &str, members: &str) -> Snapshot {
    let target = r#"{"name": "d", "url": "http://127.0.0.1/", "ordering": "key"}"#;
    let mut snapshot = snapshot(source, &[target]);
    let (id, destination) = (RouteId::from_u128(20), DestinationId::from_u128(10));
    let spec: RouteSpec = serde_json::from_str(&format!(
        r#"{{"name": "r", "source": "{SOURCE}", "events": ["webhook.received"], "destination": "{destination}",
            {members}}}"#
    ))
    .unwrap();
    snapshot.apply(Entry {
        revision: 6,
        key: Key::Route(id),
        definition: Some(Definition::Route(Box::new(Route {
            id,
            workspace: WORKSPACE,
            spec,
        }))),
    });
    snapshot
}

/// Whether the last finding of a code is that something is wrong.
fn is_wrong(evaluation: &Evaluation, code: &str) -> Option<bool> {
    let of_code = evaluation.findings.iter().filter(|(key, _)| key.code == code);
    of_code
        .map(|(_, finding)| !matches!(finding, Finding::Fine { .. }))
        .next_back()
}

#[test]
fn a_lane_key_that_is_too_long_is_the_hash_that_the_source_keeps() {
    let long = "k".repeat(600);
    let snapshot = with_route(r#"{"name": "s"}"#, r#""ordering_key": {"path": "$.id"}"#);
    let body = format!(r#"{{"id": "{long}"}}"#);
    let evaluations = evaluated(&snapshot, &[arrival(1, &body)], Stored::default());
    let key = hookrail_domain::ordering_key::bounded(long);
    assert_eq!(
        evaluations[0].deliveries[0].lane_key.as_deref(),
        Some(key.as_str())
    );
}

#[test]
fn a_lane_key_that_does_not_resolve_or_is_not_the_sources_is_warned_of() {
    for (path, unresolved, mismatch) in [
        ("$.id", false, false),
        ("$.nothing", true, false),
        ("$.other", false, true),
    ] {
        let key = format!(r#""ordering_key": {{"path": "{path}"}}"#);
        let arrivals = [arrival(1, r#"{"id": 42, "other": 7}"#)];
        let evaluation = &evaluated(&with_route(CUSTOMERS, &key), &arrivals, Stored::default())[0];
        let wrong = |code| is_wrong(evaluation, code);
        assert_eq!(wrong("ordering.key_unresolved"), Some(unresolved), "{path}");
        assert_eq!(wrong("ordering.key_mismatch"), Some(mismatch), "{path}");
    }
}

#[test]
fn an_event_on_which_a_routes_filter_costs_too_much_does_not_take_it_and_its_source_warns() {
    let filter = r#""filter": {"path": "$.items[?count($.items[*]) == 1]", "op": "exists"}"#;
    let snapshot = with_route(r#"{"name": "s"}"#, filter);
    let costly = format!(r#"{{"items": [{}[1]]}}"#, "[1],".repeat(2_000));
    let arrivals = [
        arrival(1, &costly),
        arrival(2, r#"{"items": [1]}"#),
        arrival(3, r#"{"items": []}"#),
    ];
    let found: Vec<_> = evaluated(&snapshot, &arrivals, Stored::default())
        .iter()
        .map(|evaluation| {
            (
                is_wrong(evaluation, "filter.over_budget"),
                evaluation.deliveries.len(),
            )
        })
        .collect();
    assert_eq!(found, [(Some(true), 0), (Some(false), 1), (Some(false), 0)]);
}
