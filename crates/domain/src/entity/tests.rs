use super::*;
use crate::json::Json;

fn rules(text: &str) -> EntityRules {
    serde_json::from_str(text).unwrap()
}

fn run(definition: &str, payload: &str) -> Extraction {
    extract(&rules(definition), &payload.parse().unwrap())
}

fn check_ids(definition: &str, payload: &str, expected: &[&str]) {
    let extraction = run(definition, payload);
    let ids: Vec<_> = extraction
        .entities
        .iter()
        .map(|entity| entity.unique_id.as_str())
        .collect();
    assert_eq!(ids, expected, "{payload}");
}

fn check_warnings(definition: &str, payload: &str, expected: &[(&str, &str)]) {
    let extraction = run(definition, payload);
    let warnings: Vec<_> = extraction
        .warnings
        .iter()
        .map(|warning| (warning.code, warning.field.as_str()))
        .collect();
    assert_eq!(warnings, expected, "{payload}");
}

const CUSTOMER: &str = r#"{"type":"customer","path":"$.payload","unique_id":"$.id","title":"$.email",
    "fields":{"active":"$.status.active","tags":"$.tags[*]"}}"#;
const WHOLE: &str = r#"{"type":"customer","unique_id":"$.id"}"#;

#[test]
fn an_entity_is_taken_from_its_path_exactly() {
    let payload = r#"{"payload":{"id":820982911946154508,"email":"a@b.c","price":1.10,
        "status":{"active":true},"tags":["x","y"]}}"#;
    let extraction = run(CUSTOMER, payload);
    assert_eq!(extraction.warnings, []);
    let [entity] = extraction.entities.as_slice() else {
        panic!("{extraction:?}")
    };
    assert_eq!(entity.unique_id, "820982911946154508");
    assert_eq!(entity.title.as_deref(), Some("a@b.c"));
    assert_eq!(
        Json::Object(entity.fields.clone()).to_compact_string(),
        r#"{"active":true,"tags":["x","y"]}"#
    );
    assert!(entity.data.to_compact_string().contains(r#""price":1.10"#));
    assert!(!entity.deletes);
}

#[test]
fn arrays_give_one_entity_per_item() {
    check_ids(WHOLE, r#"{"id":1}"#, &["1"]);
    check_ids(WHOLE, r#"[{"id":1},{"id":"b"},{"id":1}]"#, &["1", "b", "1"]);
    check_ids(CUSTOMER, r#"{"payload":[{"id":1},{"id":2}]}"#, &["1", "2"]);
    let wildcard = r#"{"type":"c","path":"$.l[*]","unique_id":"$.id"}"#;
    check_ids(wildcard, r#"{"l":[{"id":1},{"id":2}]}"#, &["1", "2"]);
    check_ids(WHOLE, "[]", &[]);
}

#[test]
fn unique_ids_are_texts_of_scalars_and_lists() {
    check_ids(WHOLE, r#"{"id":1.10}"#, &["1.10"]);
    check_ids(WHOLE, r#"{"id":["a",1]}"#, &[r#"["a",1]"#]);
    let both = r#"{"type":"c","unique_id":["$.shop","$.id"]}"#;
    check_ids(
        both,
        r#"{"shop":"x","id":820982911946154508}"#,
        &[r#"["x",820982911946154508]"#],
    );
    check_ids(both, r#"{"shop":"x"}"#, &[]);
    check_ids(both, r#"{"shop":["x"],"id":1}"#, &[]);
    check_ids(r#"{"type":"c","unique_id":"$.ids[*]"}"#, r#"{"ids":[1,2]}"#, &[]);
}

#[test]
fn what_does_not_resolve_is_named_once() {
    for payload in [r#"{}"#, r#"{"id":null}"#, r#"{"id":""}"#, r#"{"id":{}}"#, "5"] {
        check_warnings(WHOLE, payload, &[("mapping.unresolved", "unique_id")]);
        check_ids(WHOLE, payload, &[]);
    }
    check_warnings(CUSTOMER, "{}", &[("mapping.unresolved", "path")]);
    check_warnings(
        CUSTOMER,
        r#"{"payload":[{"id":1,"tags":["a"]},{"id":2,"tags":["a"]},{"email":"x"}]}"#,
        &[
            ("mapping.unresolved", "fields.active"),
            ("mapping.unresolved", "title"),
            ("mapping.unresolved", "unique_id"),
        ],
    );
    let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(MAX_UNIQUE_ID_BYTES + 1));
    check_warnings(WHOLE, &long, &[("mapping.too_long", "unique_id")]);
}

#[test]
fn a_payload_that_is_too_much_gives_nothing_and_says_so() {
    let many = format!("[{}1]", "1,".repeat(MAX_ENTITIES));
    check_warnings(WHOLE, &many, &[("mapping.too_many", "path")]);
    let costly = r#"{"type":"c","path":"$[?count($[*]) > 1]","unique_id":"$"}"#;
    let payload = format!("[{}1]", "1,".repeat(3000));
    check_warnings(costly, &payload, &[("mapping.over_budget", "path")]);
    check_ids(costly, &payload, &[]);
}

#[test]
fn delete_when_looks_at_the_whole_event() {
    let definition = r#"{"type":"c","path":"$.user","unique_id":"$.id",
        "delete_when":{"path":"$.event","op":"ends_with","value":".deleted"}}"#;
    let deletes = |payload| run(definition, payload).entities[0].deletes;
    assert!(deletes(r#"{"event":"user.deleted","user":{"id":1}}"#));
    assert!(!deletes(r#"{"event":"user.created","user":{"id":1}}"#));
}

#[test]
fn the_key_that_can_be_read_early_joins_both_paths() {
    let key = |definition: &str| rules(definition).plain_unique_id().map(|path| path.to_string());
    assert_eq!(key(CUSTOMER).as_deref(), Some("$.payload.id"));
    assert_eq!(key(WHOLE).as_deref(), Some("$.id"));
    assert_eq!(
        key(r#"{"type":"c","path":"$['a b'][0]","unique_id":"$.id"}"#).as_deref(),
        Some("$[\"a b\"][0].id")
    );
    assert_eq!(key(r#"{"type":"c","path":"$.l[*]","unique_id":"$.id"}"#), None);
    assert_eq!(key(r#"{"type":"c","unique_id":["$.id"]}"#), None);
}

#[test]
fn definitions_are_read_and_written_whole() {
    let text = r#"{"type":"customer","build":"payload","fetcher":null,"path":"$.payload","unique_id":["$.id"],"title":"$.email","fields":{"active":"$.status.active"},"delete_when":null,"history":20}"#;
    assert_eq!(serde_json::to_string(&rules(text)).unwrap(), text);
    for text in [
        r#"{"type":"c"}"#,
        r#"{"type":"c","unique_id":"id"}"#,
        r#"{"type":"c","unique_id":5}"#,
        r#"{"type":"c","unique_id":"$.id","uniqueId":"$.id"}"#,
        r#"{"type":"c","unique_id":"$.id","delete_when":{"any":[]}}"#,
    ] {
        assert!(serde_json::from_str::<EntityRules>(text).is_err(), "{text}");
    }
}

#[test]
fn faults_are_named_by_pointer() {
    let mut errors = Vec::new();
    rules(CUSTOMER).validate("/entity", &mut errors);
    assert_eq!(errors, []);
    let text = r#"{"type":"","build":"fetcher","unique_id":[],"fields":{"a/b":"$"},"history":1001}"#;
    rules(text).validate("/entity", &mut errors);
    let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        [
            "/entity/type",
            "/entity/fetcher",
            "/entity/unique_id",
            "/entity/fields/a~1b",
            "/entity/history"
        ]
    );
}
