//! What a filter decides and what a preview says of it agree, for whatever filter and whatever payload.

use hookrail_domain::filter::{Filter, FilterInput};
use hookrail_domain::json::Json;
use hookrail_domain::payload::{self, BodyFormat};
use proptest::prelude::*;

/// A value that filters compare with and payloads hold, so that they meet often.
fn scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-2_i64..3).prop_map(Json::from),
        prop_oneof![Just("1.0"), Just("1.10"), Just("9007199254740993")]
            .prop_map(|text| text.parse().expect("a number is JSON")),
        "[ab]{0,2}".prop_map(Json::from),
    ]
}

fn value() -> impl Strategy<Value = Json> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            proptest::collection::vec(("[abc]", inner), 0..4)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

fn leaf() -> impl Strategy<Value = Json> {
    let place = prop_oneof![
        prop_oneof![
            Just("$"),
            Just("$.a"),
            Just("$.b.c"),
            Just("$..a"),
            Just("$.*"),
            Just("$[0]"),
            Just("$[?@.a == 1].b"),
            Just("$..[?@.c]"),
        ]
        .prop_map(|path| ("path", Json::from(path))),
        "[xy]".prop_map(|name| ("header", Json::from(format!("x-{name}")))),
        "[xy]".prop_map(|name| ("query", Json::from(name))),
        Just(("method", Json::from(true))),
    ];
    let test = prop_oneof![
        (prop_oneof![Just("eq"), Just("ne"), Just("contains")], value()),
        (
            prop_oneof![Just("gt"), Just("gte"), Just("lt"), Just("lte")],
            (-2_i64..3).prop_map(Json::from)
        ),
        (
            prop_oneof![Just("in"), Just("not_in")],
            proptest::collection::vec(scalar(), 0..3).prop_map(Json::Array)
        ),
        (
            prop_oneof![Just("starts_with"), Just("ends_with"), Just("matches")],
            "[ab]{0,2}".prop_map(Json::from)
        ),
        (
            prop_oneof![Just("exists"), Just("empty")],
            any::<bool>().prop_map(Json::from)
        ),
        (
            Just("type"),
            prop_oneof![Just("null"), Just("number"), Just("string"), Just("array")].prop_map(Json::from)
        ),
    ];
    (place, test).prop_map(|((name, place), (op, value))| {
        Json::from([(name, place), ("op", Json::from(op)), ("value", value)])
    })
}

fn definition() -> impl Strategy<Value = Json> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|all| Json::from([("all", Json::Array(all))])),
            proptest::collection::vec(inner.clone(), 1..4)
                .prop_map(|any| Json::from([("any", Json::Array(any))])),
            inner.prop_map(|not| Json::from([("not", not)])),
        ]
    })
}

/// What the results of the conditions come to by the groups of the definition: an independent reading.
fn folded(definition: &Json, results: &mut impl Iterator<Item = bool>) -> bool {
    if let Some(all) = definition.get("all").and_then(Json::as_array) {
        // Every condition has its result, so none may be skipped.
        let parts: Vec<bool> = all.iter().map(|part| folded(part, results)).collect();
        return parts.into_iter().all(|part| part);
    }
    if let Some(any) = definition.get("any").and_then(Json::as_array) {
        let parts: Vec<bool> = any.iter().map(|part| folded(part, results)).collect();
        return parts.into_iter().any(|part| part);
    }
    match definition.get("not") {
        Some(not) => !folded(not, results),
        None => results.next().expect("each condition has a result"),
    }
}

fn pairs(prefix: &str, values: &[String]) -> Vec<(String, String)> {
    let names = ["x", "y", "X"].into_iter().map(|name| format!("{prefix}{name}"));
    names.zip(values.iter().cloned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_preview_says_what_the_filter_decides(
        definition in definition(),
        payload in proptest::option::of(value()),
        values in proptest::collection::vec("[ab12]{0,2}", 0..3),
    ) {
        let mut errors = Vec::new();
        let filter = Filter::parse(&definition, "", &mut errors);
        prop_assert!(errors.is_empty(), "{errors:?}");
        let filter = filter.unwrap();
        // As a payload comes out of a body, and not as it was made.
        let payload = payload.map(|payload| {
            let body = payload.to_compact_vec();
            payload::decode(Some("application/json"), BodyFormat::Auto, &body, &[]).unwrap().into_json()
        });
        let (headers, query) = (pairs("x-", &values), pairs("", &values));
        let input = FilterInput { payload: payload.as_ref(), headers: &headers, query: &query, method: "POST" };
        let verdict = filter.evaluate(&input);
        prop_assert_eq!(verdict.accepted, filter.accepts(&input));
        prop_assert!(!verdict.over_budget);
        let mut results = verdict.conditions.iter().map(|condition| condition.result);
        prop_assert_eq!(verdict.accepted, folded(&definition, &mut results));
        prop_assert!(results.next().is_none(), "no result without a condition");
    }
}

/// Where a condition that decides is followed by one that costs too much, the filter never looks at that one;
/// the preview does, and must not say otherwise for it.
#[test]
fn what_is_only_explained_does_not_change_the_decision() {
    let nested = format!("{}{}", "[".repeat(120), "]".repeat(120));
    let wide = format!("[{}]", vec![nested; 100].join(","));
    let payload: Json = format!(r#"{{"a": 1, "b": {wide}}}"#).parse().unwrap();
    let input = FilterInput {
        payload: Some(&payload),
        headers: &[],
        query: &[],
        method: "POST",
    };
    let costly = r#"{"path": "$..*..*", "op": "exists", "value": true}"#;
    let cheap = |value: u8| format!(r#"{{"path": "$.a", "op": "eq", "value": {value}}}"#);
    let check = |definition: String, accepted: bool, over_budget: bool| {
        let filter = Filter::parse(&definition.parse().unwrap(), "", &mut Vec::new()).unwrap();
        let verdict = filter.evaluate(&input);
        assert_eq!(
            (verdict.accepted, verdict.over_budget),
            (accepted, over_budget),
            "{definition}"
        );
        assert_eq!(filter.accepts(&input), accepted, "{definition}");
    };
    check(costly.to_owned(), false, true);
    check(format!(r#"{{"any": [{}, {costly}]}}"#, cheap(1)), true, false);
    check(format!(r#"{{"all": [{}, {costly}]}}"#, cheap(2)), false, false);
    check(format!(r#"{{"any": [{}, {costly}]}}"#, cheap(2)), false, true);
}
