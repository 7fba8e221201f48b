use super::*;
use crate::render::{CurrentContext, EventBody, Origin};
use proptest::prelude::*;

const DATA: &str = r#"{
    "id": 820982911946154508, "price": 1.10, "first_name": "Ryan", "last_name": null, "active": true,
    "company": {"name": "Sakila \"Ltd\"", "tags": ["a", "b"]}, "a.b": "dotted",
    "items": [{"sku": "x", "n": 1}, {"sku": "y", "n": 2.50}, {"n": 3}], "one": [{"sku": "z"}], "none": []
}"#;

fn parse(definition: &str) -> Result<Mapping, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mapping = Mapping::parse(&definition.parse().unwrap(), "/mapping", &mut errors);
    mapping.ok_or(errors)
}

fn render_within(definition: &str, data: &str, max_bytes: usize) -> Result<String, MappingError> {
    let data: Json = data.parse().unwrap();
    let query = [("tag", "1"), ("tag", "2"), ("item", "7")];
    let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let headers = [("x-shop".to_owned(), "north".to_owned())];
    let origin = Origin {
        workspace: "default",
        source: Some("crm"),
        event_id: "evt_1",
        entity: None,
        previous_fields: None,
        query: None,
    };
    let event = MappedEvent {
        body: EventBody {
            event_time: 0,
            event_type: "webhook.received",
            current_context: CurrentContext::Origin(origin),
            data: &data,
        },
        request: Request {
            method: "POST",
            query: &query,
            headers: &headers,
        },
    };
    let body = parse(definition).unwrap().render(&event, max_bytes)?;
    Ok(String::from_utf8(body).unwrap())
}

fn check(definition: &str, expected: &str) {
    let found = render_within(definition, DATA, 1 << 20);
    assert_eq!(found.as_deref(), Ok(expected), "{definition}");
}

#[test]
fn members_come_in_their_order_with_numbers_as_they_came() {
    check(
        r#"{"z": "$.id", "a": "$.price", "my_first_name": "$.first_name", "none": "$.last_name"}"#,
        r#"{"z":820982911946154508,"a":1.10,"my_first_name":"Ryan","none":null}"#,
    );
    check(
        r#"{"whole": "$.company"}"#,
        r#"{"whole":{"name":"Sakila \"Ltd\"","tags":["a","b"]}}"#,
    );
}

#[test]
fn what_is_absent_is_left_out_unless_it_has_a_default() {
    check(r#"{"a": "$.nope", "b": 1}"#, r#"{"b":1}"#);
    check(r#"{"a": 1, "b": "$.nope"}"#, r#"{"a":1}"#);
    check(r#"{"a": "$.nope"}"#, "{}");
    check(
        r#"{"a": {"$path": "$.nope", "$default": "there"}}"#,
        r#"{"a":"there"}"#,
    );
    check(
        r#"{"a": {"$path": "$.last_name", "$default": "there"}}"#,
        r#"{"a":null}"#,
    );
    check(r#"{"a": ["$.nope", "$.price"]}"#, r#"{"a":[null,1.10]}"#);
}

#[test]
fn values_that_are_no_paths_are_themselves() {
    check(
        r#"{"a": 1.10, "b": true, "c": null, "d": "plain", "e": {"$const": "$.id"}, "f": {"$const": {"$path": 1}}}"#,
        r#"{"a":1.10,"b":true,"c":null,"d":"plain","e":"$.id","f":{"$path":1}}"#,
    );
}

#[test]
fn targets_nest_and_dots_in_their_names_are_dots() {
    check(
        r#"{"a.b": "$['a.b']", "n": {"deep": {"id": "$.id"}, "empty": {}}, "$$path": 1, "$$$x": 2}"#,
        r#"{"a.b":"dotted","n":{"deep":{"id":820982911946154508},"empty":{}},"$path":1,"$$x":2}"#,
    );
}

#[test]
fn templates_hold_text_around_what_is_found() {
    check(
        r#"{"a": "Hello {{$.first_name}} of {{ company.name }}!", "b": "{{id}}", "c": "[{{nope}}|{{last_name}}]",
            "d": "\\{{id}} {{price}} {{active}} {{company.tags}}"}"#,
        concat!(
            r#"{"a":"Hello Ryan of Sakila \"Ltd\"!","b":"820982911946154508","c":"[|]","#,
            r#""d":"{{id}} 1.10 true [\"a\",\"b\"]"}"#
        ),
    );
    check(
        r#"{"a": {"$template": "Hi {{nope}}", "$default": "Hi"}, "b": {"$template": "Hi {{first_name}}", "$default": "Hi"}}"#,
        r#"{"a":"Hi","b":"Hi Ryan"}"#,
    );
}

#[test]
fn several_matches_are_a_list_and_one_is_where_that_is_asked_for() {
    check(
        r#"{"a": "$.items[*].sku", "b": "$.one[*].sku", "c": {"$path": "$.one[*].sku", "$list": true},
            "d": {"$path": "$.none[*].sku", "$list": true}, "e": {"$path": "$.company.tags", "$list": true},
            "f": {"$path": "$.price", "$list": true}}"#,
        r#"{"a":["x","y"],"b":"z","c":["z"],"d":[],"e":["a","b"],"f":[1.10]}"#,
    );
}

#[test]
fn each_makes_a_list_of_what_its_items_become() {
    check(
        r#"{"lines": {"$each": "$.items", "$map": {"sku": "$.sku", "order": "$event.data.id", "n": "$.n"}}}"#,
        concat!(
            r#"{"lines":[{"sku":"x","order":820982911946154508,"n":1},"#,
            r#"{"sku":"y","order":820982911946154508,"n":2.50},{"order":820982911946154508,"n":3}]}"#
        ),
    );
    check(r#"{"$each": "$.items", "$map": "$.sku"}"#, r#"["x","y"]"#);
    check(
        r#"{"$each": "$.items[?@.n > 1]", "$map": {"n": "{{n}}"}}"#,
        r#"[{"n":"2.50"},{"n":"3"}]"#,
    );
    check(r#"{"$each": "$.nope", "$map": {"n": "$"}}"#, "[]");
    check(r#"{"$each": "$.none", "$map": {"n": "$"}}"#, "[]");
    check(
        r#"{"$path": "$.company"}"#,
        r#"{"name":"Sakila \"Ltd\"","tags":["a","b"]}"#,
    );
}

#[test]
fn the_whole_event_is_below_event() {
    check(
        r#"{"type": "$event.event_type", "at": "$event.event_time", "from": "{{$event.current_context.source}}",
            "shop": "$event.request.headers['x-shop']", "tags": "$event.request.query.tag",
            "item": "$event.request.query.item", "method": "$event.request.method", "id": "$event.data.id"}"#,
        concat!(
            r#"{"type":"webhook.received","at":"1970-01-01T00:00:00.000Z","from":"crm","shop":"north","#,
            r#""tags":["1","2"],"item":"7","method":"POST","id":820982911946154508}"#
        ),
    );
    // Looking around is no reason to copy the data.
    check(
        r#"{"data": "$event.request.data", "entity": "$event.current_context.entity"}"#,
        r#"{"entity":null}"#,
    );
}

#[test]
fn a_mapping_that_gives_nothing_or_too_much_fails() {
    let found = |definition: &str, data: &str, max: usize| render_within(definition, data, max);
    assert_eq!(
        found(r#"{"$path": "$.nope"}"#, "{}", 100),
        Err(MappingError::Nothing)
    );
    let too_large = Err(MappingError::TooLarge { limit: 20 });
    assert_eq!(
        found(r#"{"a": "$", "b": "$"}"#, r#"{"x": "yyyyyyyy"}"#, 20),
        too_large
    );
    assert_eq!(
        found(r#"{"a": "{{x}}{{x}}{{x}}"}"#, r#"{"x": "yyyyyyyy"}"#, 20),
        too_large
    );
    let wide = format!("[{}]", vec!["0"; 2000].join(","));
    let squared = r#"{"$each": "$", "$map": {"$each": "$event.data", "$map": "$.nope"}}"#;
    assert_eq!(found(squared, &wide, 1 << 20), Err(MappingError::OverBudget));
    let overlapping = r#"{"a": "$..*"}"#;
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert!(found(overlapping, &deep, 1 << 20).is_ok());
    assert_eq!(
        found(overlapping, &deep, 1000),
        Err(MappingError::TooLarge { limit: 1000 })
    );
}

#[test]
fn every_fault_of_a_definition_is_named_by_its_pointer() {
    let check = |definition: &str, pointer: &str, detail: &str| {
        let errors = parse(definition).unwrap_err();
        let found = errors.iter().find(|error| error.pointer == pointer);
        let found = found.unwrap_or_else(|| panic!("{definition}: {errors:?}"));
        assert!(found.detail.contains(detail), "{definition}: {errors:?}");
    };
    check("[]", "/mapping", "object");
    check("\"$.a\"", "/mapping", "object");
    check("{}", "/mapping", "member");
    check(r#"{"a": "$.b["}"#, "/mapping/a", "");
    check(r#"{"a": {"b/c": "$nope"}}"#, "/mapping/a/b~1c", "");
    check(r#"{"a": "$eventual.x"}"#, "/mapping/a", "");
    check(r#"{"a": "x {{$.b"}"#, "/mapping/a", "without its }}");
    check(r#"{"a": "{{}}"}"#, "/mapping/a", "needs a path");
    check(r#"{"a": "{{a[}}"}"#, "/mapping/a", "is not a path");
    check(r#"{"a": {"$patch": "$.b"}}"#, "/mapping/a", "$$x");
    check(r#"{"a": {"$path": 1}}"#, "/mapping/a/$path", "string");
    check(
        r#"{"a": {"$path": "$", "x": 1}}"#,
        "/mapping/a/x",
        "does not go with $path",
    );
    check(
        r#"{"a": {"$path": "$", "$map": 1}}"#,
        "/mapping/a/$map",
        "does not go with $path",
    );
    check(
        r#"{"a": {"$path": "$", "$list": 1}}"#,
        "/mapping/a/$list",
        "true or false",
    );
    check(r#"{"a": {"$each": "$.b"}}"#, "/mapping/a/$map", "is needed");
    check(
        r#"{"a": {"$each": "$.[", "$map": ["$x"]}}"#,
        "/mapping/a/$map/0",
        "",
    );
    check(r#"{"a": ["$.b", "$["]}"#, "/mapping/a/1", "");
    let deep = format!("{}1{}", r#"{"a":"#.repeat(17), "}".repeat(17));
    check(&deep, &format!("/mapping{}", "/a".repeat(16)), "16 deep");
    let members: Vec<String> = (0..=MAX_EXPRESSIONS).map(|n| format!(r#""m{n}": 1"#)).collect();
    check(
        &format!("{{{}}}", members.join(",")),
        "/mapping/m1000",
        "1000 values",
    );
    let long = "x".repeat(MAX_TEMPLATE_BYTES);
    check(
        &format!(r#"{{"a": "{{{{x}}}}{long}"}}"#),
        "/mapping/a",
        "8192 bytes",
    );
    check(
        &format!(r#"{{"{}": 1}}"#, "n".repeat(257)),
        &format!("/mapping/{}", "n".repeat(257)),
        "256",
    );
}

#[test]
fn mappings_are_equal_when_they_are_written_alike() {
    let equal = |a: &str, b: &str| parse(a).unwrap() == parse(b).unwrap();
    assert!(equal(r#"{"a": 1, "b": 2}"#, r#"{ "a": 1, "b": 2 }"#));
    assert!(!equal(r#"{"a": 1, "b": 2}"#, r#"{"b": 2, "a": 1}"#));
    assert!(!equal(r#"{"a": 1.1}"#, r#"{"a": 1.10}"#));
}

proptest! {
    /// What is written is JSON, with the members of the mapping that found something.
    #[test]
    fn whatever_is_mapped_is_json(names in proptest::collection::vec("[a-c.$\"\\\\é]{1,3}", 1..6), value in "[ -~]{0,12}") {
        let mut definition = crate::json::Members::new();
        for name in &names {
            definition.insert(name.clone(), Json::from([("$const", Json::from(value.as_str()))]));
        }
        let definition = Json::Object(definition);
        let mut errors = Vec::new();
        if let Some(mapping) = Mapping::parse(&definition, "", &mut errors) {
            let text = mapping.definition().to_compact_string();
            let body: Json = render_within(&text, "{}", 1 << 20).unwrap().parse().unwrap();
            let found: Vec<&str> = body.as_object().unwrap().values().filter_map(Json::as_str).collect();
            prop_assert!(found.iter().all(|found| *found == value));
        }
    }
}
