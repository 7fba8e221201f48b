use super::*;

fn filter(text: &str) -> Filter {
    let mut errors = Vec::new();
    let filter = Filter::parse(&text.parse().unwrap(), "/filter", &mut errors);
    filter.unwrap_or_else(|| panic!("{text}: {errors:?}"))
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

const PAYLOAD: &str = r#"{
    "event_type": "user", "n": 1, "one": "1", "zero": 0, "null": null, "yes": true, "price": 1.10,
    "big": 820982911946154508, "empty": "", "none": [], "tags": ["a", "b", 3],
    "items": [{"id": 1, "kind": "x"}, {"id": 2, "kind": "y"}], "o": {"a": {"b": 1}}
}"#;

/// Decides both ways, which must agree.
fn accepts(definition: &str) -> bool {
    let payload = PAYLOAD.parse().unwrap();
    let headers = pairs(&[("X-GitHub-Event", "push"), ("accept", "a"), ("Accept", "b")]);
    let query = pairs(&[("item", "5"), ("item", "6")]);
    let input = FilterInput {
        payload: Some(&payload),
        headers: &headers,
        query: &query,
        method: "POST",
    };
    let filter = filter(definition);
    let accepted = filter.accepts(&input);
    assert_eq!(filter.evaluate(&input).accepted, accepted, "{definition}");
    accepted
}

fn check(place: &str, op: &str, value: &str, expected: bool) {
    let definition = format!(r#"{{{place},"op":"{op}","value":{value}}}"#);
    assert_eq!(accepts(&definition), expected, "{definition}");
}

fn check_path(path: &str, op: &str, value: &str, expected: bool) {
    check(&format!(r#""path":"{path}""#), op, value, expected);
}

#[test]
fn equality_never_mixes_types() {
    check_path("$.event_type", "eq", "\"user\"", true);
    check_path("$.n", "eq", "1.0", true);
    check_path("$.n", "eq", "\"1\"", false);
    check_path("$.one", "eq", "1", false);
    check_path("$.null", "eq", "null", true);
    check_path("$.missing", "eq", "null", false);
    check_path("$.zero", "eq", "false", false);
    check_path("$.big", "eq", "820982911946154508", true);
    check_path("$.big", "eq", "820982911946154509", false);
    check_path("$.o", "eq", r#"{"a":{"b":1.0}}"#, true);
    check_path("$.items[*].id", "eq", "2", true);
}

#[test]
fn the_negative_operators_hold_when_no_node_is_equal() {
    check_path("$.event_type", "ne", "\"user\"", false);
    check_path("$.event_type", "ne", "\"order\"", true);
    check_path("$.items[*].id", "ne", "2", false);
    check_path("$.missing", "ne", "2", true);
    check_path("$.one", "ne", "1", true);
    check_path("$.n", "not_in", "[2, 1]", false);
    check_path("$.n", "not_in", "[\"1\"]", true);
    check_path("$.n", "in", "[2, 1.00]", true);
    check_path("$.n", "in", "[]", false);
}

#[test]
fn order_is_among_numbers_or_among_strings() {
    check_path("$.n", "gt", "0.5", true);
    check_path("$.n", "gte", "1", true);
    check_path("$.n", "lt", "1", false);
    check_path("$.n", "lte", "1e0", true);
    check_path("$.one", "gt", "0", false);
    check_path("$.n", "gt", "\"0\"", false);
    check_path("$.event_type", "gt", "\"a\"", true);
    check_path("$.big", "gt", "820982911946154507", true);
    check_path("$.items[*].id", "gt", "1", true);
    check_path("$.null", "lte", "0", false);
}

#[test]
fn texts_and_lists_are_searched() {
    check_path("$.event_type", "contains", "\"se\"", true);
    check_path("$.tags", "contains", "\"a\"", true);
    check_path("$.tags", "contains", "3.0", true);
    check_path("$.tags", "contains", "\"3\"", false);
    check_path("$.n", "contains", "\"1\"", false);
    check_path("$.event_type", "starts_with", "\"us\"", true);
    check_path("$.event_type", "ends_with", "\"us\"", false);
    check_path("$.event_type", "matches", "\"^us.r$\"", true);
    check_path("$.event_type", "matches", "\"se\"", true);
    check_path("$.n", "matches", "\"1\"", false);
}

#[test]
fn existence_emptiness_and_types_are_told_apart() {
    check_path("$.null", "exists", "true", true);
    check_path("$.missing", "exists", "true", false);
    check_path("$.missing", "exists", "false", true);
    check_path("$.empty", "empty", "true", true);
    check_path("$.none", "empty", "true", true);
    check_path("$.null", "empty", "true", true);
    check_path("$.missing", "empty", "true", false);
    check_path("$.zero", "empty", "true", false);
    check_path("$.tags", "empty", "false", true);
    for (member, name) in [
        ("null", "null"),
        ("yes", "boolean"),
        ("n", "number"),
        ("one", "string"),
        ("tags", "array"),
        ("o", "object"),
    ] {
        check_path(&format!("$['{member}']"), "type", &format!("\"{name}\""), true);
    }
    check_path("$.one", "type", "\"number\"", false);
    assert!(accepts(r#"{"path":"$.null","op":"exists"}"#));
    assert!(accepts(r#"{"path":"$.empty","op":"empty"}"#));
}

#[test]
fn headers_queries_and_the_method_are_strings() {
    check(r#""header":"x-github-event""#, "eq", "\"push\"", true);
    check(r#""header":"ACCEPT""#, "eq", "\"b\"", true);
    check(r#""header":"x""#, "exists", "false", true);
    check(r#""query":"item""#, "in", "[\"6\"]", true);
    check(r#""query":"item""#, "eq", "5", false);
    check(r#""query":"ITEM""#, "exists", "true", false);
    check(r#""method":true"#, "eq", "\"POST\"", true);
    check(r#""method":true"#, "in", "[\"GET\"]", false);
}

#[test]
fn groups_nest() {
    let yes = r#"{"path":"$.n","op":"eq","value":1}"#;
    let no = r#"{"path":"$.n","op":"eq","value":2}"#;
    for (definition, expected) in [
        (format!(r#"{{"all":[{yes},{yes}]}}"#), true),
        (format!(r#"{{"all":[{yes},{no}]}}"#), false),
        (format!(r#"{{"any":[{no},{yes}]}}"#), true),
        (format!(r#"{{"any":[{no}]}}"#), false),
        (format!(r#"{{"not":{no}}}"#), true),
        (
            format!(r#"{{"all":[{{"any":[{no},{yes}]}},{{"not":{{"all":[{no}]}}}}]}}"#),
            true,
        ),
        (r#"{"all":[]}"#.to_owned(), true),
    ] {
        assert_eq!(accepts(&definition), expected, "{definition}");
    }
}

#[test]
fn a_verdict_explains_every_condition() {
    let filter = filter(
        r#"{"any":[{"path":"$.id","op":"gt","value":1.50},{"header":"x","op":"exists"},
            {"path":"$.l[*]","op":"in","value":[820982911946154508]},{"method":true,"op":"eq","value":"GET"}]}"#,
    );
    let payload = r#"{"id":2.10,"l":[1,820982911946154508]}"#.parse().unwrap();
    let input = FilterInput {
        payload: Some(&payload),
        headers: &[],
        query: &[],
        method: "GET",
    };
    let verdict = filter.evaluate(&input);
    assert!(verdict.accepted && !verdict.over_budget);
    assert_eq!(
        serde_json::to_string(&verdict.conditions).unwrap(),
        concat!(
            r#"[{"path":"$.id","op":"gt","value":1.50,"actual":2.10,"result":true},"#,
            r#"{"header":"x","op":"exists","value":true,"result":false},"#,
            r#"{"path":"$.l[*]","op":"in","value":[820982911946154508],"actual":[1,820982911946154508],"result":true},"#,
            r#"{"method":true,"op":"eq","value":"GET","actual":"GET","result":true}]"#
        )
    );
}

#[test]
fn a_payload_without_structure_has_no_paths() {
    let filter = filter(r#"{"path":"$","op":"exists"}"#);
    let input = FilterInput {
        payload: None,
        headers: &[],
        query: &[],
        method: "POST",
    };
    assert!(!filter.accepts(&input));
}

#[test]
fn a_filter_that_costs_too_much_does_not_accept() {
    let payload: Json = format!("[{}1]", "[1],".repeat(2000)).parse().unwrap();
    let filter = filter(r#"{"not":{"path":"$[?count($[*]) == 1]","op":"exists"}}"#);
    let input = FilterInput {
        payload: Some(&payload),
        headers: &[],
        query: &[],
        method: "POST",
    };
    assert!(!filter.accepts(&input));
    assert!(filter.evaluate(&input).over_budget);
}

fn check_refused(definition: &str, expected: &[&str]) {
    let mut errors = Vec::new();
    let filter = Filter::parse(&definition.parse().unwrap(), "/filter", &mut errors);
    assert!(filter.is_none(), "{definition}");
    let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, expected, "{definition}");
}

#[test]
fn faults_are_named_by_pointer() {
    check_refused("[]", &["/filter"]);
    check_refused("{}", &["/filter", "/filter/op"]);
    check_refused(r#"{"all":{}}"#, &["/filter/all"]);
    check_refused(r#"{"any":[]}"#, &["/filter/any"]);
    check_refused(r#"{"all":[],"any":[]}"#, &["/filter"]);
    check_refused(
        r#"{"all":[{"path":"x","op":"eq","value":1},{"not":{"path":"$","op":"is","value":1}}]}"#,
        &["/filter/all/0/path", "/filter/all/1/not/op"],
    );
    check_refused(r#"{"path":"$","header":"a","op":"eq","value":1}"#, &["/filter"]);
    check_refused(r#"{"path":"$","op":"eq","value":1,"a/b":1}"#, &["/filter/a~1b"]);
    check_refused(r#"{"path":"$","op":"eq"}"#, &["/filter/value"]);
    check_refused(r#"{"path":"$","op":"in","value":1}"#, &["/filter/value"]);
    check_refused(r#"{"path":"$","op":"gt","value":null}"#, &["/filter/value"]);
    check_refused(r#"{"path":"$","op":"matches","value":"("}"#, &["/filter/value"]);
    check_refused(r#"{"path":"$","op":"type","value":"text"}"#, &["/filter/value"]);
    check_refused(r#"{"path":"$","op":"exists","value":"yes"}"#, &["/filter/value"]);
    check_refused(
        r#"{"method":"POST","op":"eq","value":"POST"}"#,
        &["/filter/method"],
    );
}

#[test]
fn depth_and_number_of_conditions_are_limited() {
    let leaf = r#"{"path":"$","op":"exists"}"#;
    let nested = |depth| format!("{}{leaf}{}", r#"{"not":"#.repeat(depth), "}".repeat(depth));
    assert!(accepts(&nested(16)));
    let pointer = format!("/filter{}", "/not".repeat(16));
    check_refused(&nested(17), &[&pointer]);
    let many = vec![leaf; MAX_CONDITIONS + 1].join(",");
    check_refused(&format!(r#"{{"all":[{many}]}}"#), &["/filter"]);
}

#[test]
fn serde_keeps_the_definition_and_names_the_first_fault() {
    let text = r#"{"all":[{"path":"$.id","op":"eq","value":820982911946154508}]}"#;
    let filter: Filter = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&filter).unwrap(), text);
    let error = serde_json::from_str::<Filter>(r#"{"all":[{"path":"$"}]}"#).unwrap_err();
    assert!(error.to_string().starts_with("/all/0/op: is required"), "{error}");
}
