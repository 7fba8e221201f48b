use super::*;
use crate::json::Json;
use crate::json::tests::any_json;
use crate::jsonpath::JsonPath;
use proptest::prelude::*;

fn key(path: &str, body: &str) -> Option<String> {
    let path = JsonPath::parse(path).unwrap();
    let [key, dedupe_key] = check_json(body.as_bytes(), &both_at(&path)).unwrap();
    assert_eq!(key, dedupe_key);
    let by_tree = path
        .plain()
        .unwrap()
        .find(&body.parse().unwrap())
        .and_then(Json::identity_text);
    assert_eq!(key, by_tree, "{path} of {body}");
    key
}

/// Both keys at one path.
fn both_at(path: &JsonPath) -> KeyPaths {
    KeyPaths {
        ordering: path.plain().cloned(),
        dedupe: path.plain().cloned(),
    }
}

fn check_key(path: &str, body: &str, expected: Option<&str>) {
    assert_eq!(key(path, body).as_deref(), expected, "{path} of {body}");
}

#[test]
fn the_key_is_the_text_of_the_value_at_the_path() {
    check_key("$.id", r#"{"id":820982911946154508}"#, Some("820982911946154508"));
    check_key("$.id", r#"{"id":1.10}"#, Some("1.10"));
    check_key("$.id", r#"{"id":"a\u0062"}"#, Some("ab"));
    check_key("$.id", r#"{"id":true}"#, Some("true"));
    check_key(
        "$.a.b[1].id",
        r#"{"a":{"x":{"id":0},"b":[{"id":1},{"id":2},{"id":3}]}}"#,
        Some("2"),
    );
    check_key("$.id", r#"{"a":{"id":5},"b":[{"id":6}],"id":7}"#, Some("7"));
    check_key("$", "\"x\"", Some("x"));
    check_key("$[0][1]", "[[1,2],[3,4]]", Some("2"));
    check_key("$.id", r#"{"id":["a",1]}"#, Some(r#"["a",1]"#));
}

#[test]
fn what_identifies_nothing_is_no_key() {
    check_key("$.id", r#"{"x":1}"#, None);
    check_key("$.id", r#"{"id":null}"#, None);
    check_key("$.id", r#"{"id":""}"#, None);
    check_key("$.id", r#"{"id":{"a":1}}"#, None);
    check_key("$.id", r#"{"id":[1,[2]]}"#, None);
    check_key("$.id", r#"{"id":[1,null]}"#, None);
    check_key("$.id", r#"{"id":[]}"#, None);
    check_key("$.id", "[1]", None);
    check_key("$[0]", r#"{"0":1}"#, None);
    check_key("$.a.id", r#"{"a":"x"}"#, None);
}

#[test]
fn of_repeated_members_the_last_counts() {
    check_key("$.id", r#"{"id":1,"id":2}"#, Some("2"));
    check_key("$.id", r#"{"id":1,"id":{}}"#, None);
    check_key("$.a.id", r#"{"a":{"id":1},"a":{"x":2}}"#, None);
    check_key("$.a.id", r#"{"a":{"id":1},"a":3}"#, None);
    check_key("$.id", r#"{"id":[1],"id":[2,3]}"#, Some("[2,3]"));
}

#[test]
fn malformed_bodies_are_refused_by_their_declared_type() {
    let refused = |content_type: Option<&str>, body: &[u8]| {
        check(content_type, BodyFormat::Auto, body, &[], &KeyPaths::default()).is_err()
    };
    assert!(refused(Some("application/json"), b"{"));
    assert!(refused(Some("application/json; charset=utf-8"), b""));
    assert!(refused(Some("application/vnd.api+json"), b"{\"a\":1,}"));
    assert!(refused(Some("application/json"), "[".repeat(129).as_bytes()));
    assert!(refused(Some("text/xml"), b"<a><b></a>"));
    assert!(refused(Some("application/x-www-form-urlencoded"), b"a=%zz"));
    assert!(!refused(Some("text/plain"), b"{"));
    assert!(!refused(Some("application/octet-stream"), b"\xff"));
    assert!(!refused(None, b"{"));
}

#[test]
fn keys_come_from_every_format_that_has_structure() {
    let path = JsonPath::parse("$.order.id").unwrap();
    let key = |content_type: Option<&str>, body: &str| {
        check(
            content_type,
            BodyFormat::Auto,
            body.as_bytes(),
            &[],
            &both_at(&path),
        )
        .unwrap()
        .key
    };
    assert_eq!(
        key(Some("application/xml"), "<order><id>7</id></order>").as_deref(),
        Some("7")
    );
    let form = Some("application/x-www-form-urlencoded");
    assert_eq!(key(form, "order[id]=7").as_deref(), Some("7"));
    assert_eq!(key(None, r#"{"order":{"id":7}}"#).as_deref(), Some("7"));
    assert_eq!(key(None, r#"{"order":{"id":7}"#), None);
    assert_eq!(key(Some("text/plain"), "order"), None);
}

#[test]
fn a_key_that_is_too_long_is_kept_as_its_hash() {
    let path = JsonPath::parse("$.id").unwrap();
    let body = format!(r#"{{"id":"{}"}}"#, "k".repeat(513));
    let xml = format!("<o><id>{}</id></o>", "k".repeat(513));
    let json = check(None, BodyFormat::Json, body.as_bytes(), &[], &both_at(&path)).unwrap();
    let key = json.key.unwrap();
    assert!(key.starts_with("sha256:") && key.len() == 71, "{key}");
    let path = JsonPath::parse("$.o.id").unwrap();
    let in_xml = check(None, BodyFormat::Xml, xml.as_bytes(), &[], &both_at(&path)).unwrap();
    assert!(in_xml.key.is_none_or(|other| other == key));
}

#[test]
fn what_grows_as_json_is_measured() {
    let text = "\"".repeat(MEASURED_ABOVE_BYTES + 1);
    let measured = check(
        Some("text/plain"),
        BodyFormat::Auto,
        text.as_bytes(),
        &[],
        &KeyPaths::default(),
    )
    .unwrap();
    assert_eq!(measured.json_bytes, 2 * text.len() + 2);
    let json = check(
        Some("application/json"),
        BodyFormat::Auto,
        b"[ 1 ]",
        &[],
        &KeyPaths::default(),
    )
    .unwrap();
    assert_eq!(json.json_bytes, 5);
}

/// Every plain path to a node of a value.
fn paths_of(value: &Json, path: &str, out: &mut Vec<String>) {
    out.push(path.to_owned());
    match value {
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                paths_of(item, &format!("{path}[{index}]"), out);
            }
        }
        Json::Object(members) => {
            for (name, value) in members {
                paths_of(value, &format!("{path}[{}]", Json::from(name.as_str())), out);
            }
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn reading_and_the_parsed_tree_agree_on_every_key(value in any_json()) {
        let text = value.to_compact_string();
        let mut paths = Vec::new();
        paths_of(&value, "$", &mut paths);
        for path in paths {
            let Ok(path) = JsonPath::parse(&path) else { continue };
            let plain = path.plain().expect("names and indices are plain");
            let [read, _] = check_json(text.as_bytes(), &both_at(&path)).unwrap();
            prop_assert_eq!(read, plain.find(&value).and_then(Json::identity_text));
        }
    }

    #[test]
    fn the_pass_and_the_parser_refuse_the_same(bytes in "[\\[\\]{}:,\"a0-9.eE+ \\-\\\\]{0,24}") {
        let passed = check_json(bytes.as_bytes(), &KeyPaths::default()).is_ok();
        prop_assert_eq!(passed, Json::parse(bytes.as_bytes()).is_ok());
    }
}
