use super::*;
use std::path::Path;

fn select(path: &str, payload: &str) -> String {
    let payload = payload.parse().unwrap();
    let nodes = JsonPath::parse(path).unwrap().select(&payload).unwrap();
    Json::Array(nodes.into_iter().cloned().collect()).to_compact_string()
}

fn check(path: &str, payload: &str, expected: &str) {
    assert_eq!(select(path, payload), expected, "{path}");
}

/// The cases of the compliance suite that the path differs in, each with what it gave.
fn suite_failures(suite: &Json) -> Vec<String> {
    let tests = suite.get("tests").and_then(Json::as_array).unwrap();
    tests.iter().filter_map(suite_failure).collect()
}

fn suite_failure(test: &Json) -> Option<String> {
    let text = test.get("selector").and_then(Json::as_str).unwrap();
    let name = test.get("name").and_then(Json::as_str).unwrap();
    let parsed = JsonPath::parse(text);
    let Some(document) = test.get("document") else {
        return parsed.is_ok().then(|| format!("{name}: {text} was accepted"));
    };
    let path = match parsed {
        Ok(path) => path,
        Err(error) => return Some(format!("{name}: {text} was refused: {error}")),
    };
    let found = Json::Array(path.select(document).unwrap().into_iter().cloned().collect());
    let expected = match test.get("results") {
        Some(several) => several.as_array().unwrap().to_vec(),
        None => vec![test.get("result").unwrap().clone()],
    };
    let right = expected.iter().any(|expected| expected.equals(&found));
    (!right).then(|| format!("{name}: {text} gave {found}"))
}

#[test]
fn the_compliance_suite_is_met() {
    let file = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/conformance/jsonpath/cts.json"
    ));
    let Ok(text) = std::fs::read(file) else {
        eprintln!(
            "SKIPPED: {} is missing, so the JSONPath suite was not run",
            file.display()
        );
        return;
    };
    let suite = Json::parse(&text).unwrap();
    let failures = suite_failures(&suite);
    let cases = suite
        .get("tests")
        .and_then(Json::as_array)
        .map_or(0, <[Json]>::len);
    eprintln!(
        "{} of {cases} cases of the JSONPath compliance suite hold",
        cases - failures.len()
    );
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn numbers_are_compared_exactly() {
    let payload = r#"[{"id":9007199254740993},{"id":9007199254740992.0},{"id":1.10}]"#;
    check("$[?@.id == 1.1].id", payload, "[1.10]");
    check("$[?@.id > $[1].id].id", payload, "[9007199254740993]");
}

#[test]
fn plain_paths_are_names_and_indices() {
    for (path, expected) in [
        ("$", true),
        ("$.a.b[0]['c']", true),
        ("$[-1]", false),
        ("$..a", false),
        ("$.a[*]", false),
        ("$['a','b']", false),
        ("$[?@.a]", false),
        ("$[0:1]", false),
    ] {
        assert_eq!(JsonPath::parse(path).unwrap().is_plain(), expected, "{path}");
    }
    check("$.a[1]['b c']", r#"{"a":[1,{"b c":2}]}"#, "[2]");
    check("$.a.b", r#"{"a":[1]}"#, "[]");
}

#[test]
fn a_name_with_a_space_needs_quotes() {
    for path in [
        "$.a b",
        "$.a  \t b",
        "$..a b",
        "$[?@.a b == 1]",
        "$[?@.a == 1 2]",
        "$.ä b",
    ] {
        assert!(JsonPath::parse(path).is_err(), "{path}");
    }
    for path in [
        "$['a b']",
        "$ .a",
        "$.a .b",
        "$[?@.a == 1 && @.b]",
        "$[? @['a b'] == 'c d' ]",
    ] {
        assert!(JsonPath::parse(path).is_ok(), "{path}");
    }
}

#[test]
fn joined_plain_paths_parse_to_the_same_steps() {
    let above = JsonPath::parse("$.a['b c'][0]").unwrap();
    let below = JsonPath::parse("$['it\\'s \"x\" \\\\ \\u0001'].id").unwrap();
    let joined = above.plain().unwrap().join(below.plain().unwrap());
    let again = JsonPath::parse(&joined.to_text()).unwrap();
    assert_eq!(again.plain(), Some(&joined));
}

#[test]
fn what_is_over_a_limit_is_refused_at_once() {
    for path in [
        format!("$.{}", "a".repeat(MAX_TEXT_BYTES)),
        format!("$[?{}@.a{}]", "(".repeat(20), ")".repeat(20)),
        format!("${}", "[?@".repeat(20)),
        "$..a..b..c".to_owned(),
        format!("$[?{}@{} > 1]", "length(".repeat(10), ")".repeat(10)),
        format!("$[?{}!", "length(".repeat(16)),
        "$[?search(@.a, '\\\\p{L}{100000}')]".to_owned(),
        "$[?match(@.a, '(')]".to_owned(),
        "$[?in(@.a, $.b)]".to_owned(),
    ] {
        assert!(JsonPath::parse(&path).is_err(), "{path}");
    }
    assert!(JsonPath::parse("$['..']['..']['..']..a").is_ok());
}

#[test]
fn a_path_that_multiplies_nodes_ends_at_the_budget() {
    let payload: Json = "[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]"
        .parse()
        .unwrap();
    let path = JsonPath::parse(&format!("${}", "[0,0]".repeat(24))).unwrap();
    assert_eq!(path.select(&payload), Err(BudgetExceeded));
}

#[test]
fn comparing_large_values_again_and_again_ends_at_the_budget() {
    let items = vec!["1"; 3000].join(",");
    let payload: Json = format!(r#"{{"a":[{items}],"b":[{items}],"c":[{items}]}}"#)
        .parse()
        .unwrap();
    let path = JsonPath::parse("$.c[?$.a == $.b]").unwrap();
    assert_eq!(path.select(&payload), Err(BudgetExceeded));
}

#[test]
fn costly_patterns_end_at_the_budget_and_usual_ones_do_not() {
    let text = "01".repeat(200_000);
    let payload: Json = format!(r#"["{text}","{text}"]"#).parse().unwrap();
    let path = JsonPath::parse("$[?search(@, '[01]*1[01]{900}2')]").unwrap();
    assert_eq!(path.select(&payload), Err(BudgetExceeded));
    let words = vec!["\"order.created\""; 2000].join(",");
    let payload: Json = format!("[{words}]").parse().unwrap();
    let path = JsonPath::parse(r"$[?match(@, 'order\\.(created|updated)')]").unwrap();
    assert_eq!(path.select(&payload).unwrap().len(), 2000);
    let patterns: Vec<_> = (0..50).map(|i| format!("\"a{i}\"")).collect();
    let payload: Json = format!("[{}]", patterns.join(",")).parse().unwrap();
    let path = JsonPath::parse("$[?match('a', @)]").unwrap();
    assert_eq!(path.select(&payload), Err(BudgetExceeded));
}

#[test]
fn a_path_is_its_text_for_serde() {
    let path: JsonPath = serde_json::from_str("\"$.a[*]\"").unwrap();
    assert_eq!(serde_json::to_string(&path).unwrap(), "\"$.a[*]\"");
    assert!(serde_json::from_str::<JsonPath>("\"a.b\"").is_err());
}
