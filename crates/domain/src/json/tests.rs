use super::*;
use proptest::prelude::*;
use std::path::Path;

fn parse(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

#[test]
fn numbers_and_member_order_come_out_as_they_went_in() {
    let text = r#"{"z":820982911946154508,"a":1.10,"e":1E+400,"l":[-0,0.0],"n":null,"t":true}"#;
    assert_eq!(parse(text).to_compact_string(), text);
}

#[test]
fn of_duplicate_members_the_last_value_stays_in_the_first_place() {
    assert_eq!(
        parse(r#"{"a":1,"b":2,"a":3}"#).to_compact_string(),
        r#"{"a":3,"b":2}"#
    );
}

#[test]
fn strings_are_escaped_only_where_they_must_be() {
    let text = "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001fé☃😀\u{7f}\"";
    assert_eq!(parse(text).to_compact_string(), text);
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(Json::parse(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert!(Json::parse(nested(MAX_DEPTH + 1).as_bytes()).is_err());
    assert!(Json::parse("[".repeat(1_000_000).as_bytes()).is_err());
    assert!(Json::parse("{\"a\":".repeat(1_000_000).as_bytes()).is_err());
}

#[test]
fn a_bom_is_skipped_and_bad_utf8_and_lone_surrogates_are_refused() {
    assert_eq!(Json::parse(b"\xef\xbb\xbf{}"), Ok(Json::object()));
    assert!(Json::parse(b"\"\xff\"").is_err());
    assert!(Json::parse(br#""\ud800""#).is_err());
    assert!(Json::parse(br#"["\udc00", "aaaaaaaaaaaaaaa"]"#).is_err());
    assert!(Json::parse(b"\xff\xfe{\0}\0").is_err());
}

#[test]
fn an_error_names_its_line_and_column() {
    let error = Json::parse(b"{\n  \"a\": x}").unwrap_err();
    assert_eq!((error.line, error.column, error.offset), (2, 8, 9));
}

#[test]
fn keys_that_serde_json_treats_specially_stay_plain_members() {
    for text in [
        r#"{"$serde_json::private::RawValue":"{\"admin\":true}"}"#,
        r#"{"$serde_json::private::Number":"12"}"#,
        r#"{"a":{"$serde_json::private::RawValue":"1","b":2}}"#,
    ] {
        let direct = parse(text);
        assert_eq!(direct.to_compact_string(), text);
        let by_serde: Json = serde_json::from_str(text).unwrap();
        assert_eq!(by_serde, direct);
        assert_eq!(serde_json::to_string(&by_serde).unwrap(), text);
    }
}

#[test]
fn serde_keeps_numbers_inside_other_types() {
    #[derive(Serialize, Deserialize)]
    struct Outer {
        value: Json,
        other: Option<Json>,
    }
    let text = r#"{"value":{"id":123456789012345678901234567890,"p":1.10},"other":null}"#;
    let outer: Outer = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&outer).unwrap(), text);
}

#[test]
fn values_are_equal_by_number_value_and_whatever_the_member_order() {
    assert!(parse(r#"{"a":1,"b":[2.0]}"#).equals(&parse(r#"{"b":[2],"a":1.0}"#)));
    assert!(!parse("1").equals(&parse("\"1\"")));
    assert!(!parse("null").equals(&parse("false")));
    assert!(!parse("[1]").equals(&parse("[1,2]")));
}

#[test]
fn the_parsing_test_suite_is_met() {
    let folder = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/conformance/json/test_parsing"
    ));
    let Ok(files) = std::fs::read_dir(folder) else {
        eprintln!(
            "SKIPPED: {} is missing, so JSONTestSuite was not run",
            folder.display()
        );
        return;
    };
    let mut wrong = Vec::new();
    for file in files {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let accepted = Json::parse(&std::fs::read(&path).unwrap()).is_ok();
        if (name.starts_with("y_") && !accepted) || (name.starts_with("n_") && accepted) {
            wrong.push(name);
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Any JSON value, for other modules' properties too.
pub(crate) fn any_json() -> impl Strategy<Value = Json> {
    let number = "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,10})?([eE][+-]?[0-9]{1,3})?";
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        number.prop_map(|text| Json::Number(Number::parse(&text).unwrap())),
        any::<String>().prop_map(Json::String),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_parses_to_the_same_value(value in any_json()) {
        let text = value.to_compact_string();
        let again = Json::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(&again, &value);
        prop_assert_eq!(again.to_compact_string(), text);
    }

    #[test]
    fn any_bytes_parse_or_are_refused_without_a_panic(bytes: Vec<u8>) {
        let _ = Json::parse(&bytes);
    }
}
