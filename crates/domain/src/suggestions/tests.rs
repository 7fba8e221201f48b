use super::*;
use crate::payload::{self, BodyFormat};

fn check_with(payload: &str, others: &[&str], path: Option<&str>, expected: &str) {
    let path = path.map(|path| JsonPath::parse(path).unwrap());
    let others: Vec<Json> = others.iter().map(|other| other.parse().unwrap()).collect();
    let found = suggest(&payload.parse().unwrap(), &others, path.as_ref());
    assert_eq!(found.to_json().to_compact_string(), expected, "{payload}");
}

fn check(payload: &str, path: Option<&str>, expected: &str) {
    check_with(payload, &[], path, expected);
}

#[test]
fn the_entity_its_id_and_its_title_are_guessed() {
    check(
        r#"{"event":"user","data":{"user":{"name":"Ann","id":1,"shop_id":2,"paid":3,"email":"a@b"}}}"#,
        None,
        r#"{"entity_paths":["$.data.user"],"unique_ids":["$.id","$.email","$.shop_id"],"titles":["$.name","$.email"]}"#,
    );
}

#[test]
fn a_list_of_objects_is_many_entities_and_lists_in_them_are_found() {
    check(
        r#"[{"uuid":"a"},{"uuid":"b"}]"#,
        None,
        r#"{"entity_paths":["$"],"unique_ids":["$.uuid"],"titles":[]}"#,
    );
    check(
        r#"{"orders":[{"number":"1","lines":[{"sku":"x"},{"sku":"y"}]},{"number":"2","lines":[{"sku":"z"}]}]}"#,
        Some("$.orders[*].lines"),
        r#"{"entity_paths":["$.orders","$.orders[*].lines"],"unique_ids":["$.sku"],"titles":[]}"#,
    );
}

#[test]
fn an_id_that_repeats_is_none_but_two_together_may_be() {
    check(
        r#"[{"order_id":1,"line":1,"state":"x"},{"order_id":1,"line":2,"state":"x"},{"order_id":2,"line":1,"state":"x"}]"#,
        None,
        r#"{"entity_paths":["$"],"unique_ids":[["$.order_id","$.line"]],"titles":[]}"#,
    );
    check(
        r#"[{"id":1,"key":"a"},{"id":1,"key":"b"},{"key":"c"}]"#,
        None,
        r#"{"entity_paths":["$"],"unique_ids":["$.key"],"titles":[]}"#,
    );
}

#[test]
fn what_is_the_same_in_all_payloads_comes_last() {
    let one = |id: u32| format!(r#"{{"id":"shop","order_id":{id}}}"#);
    let (a, b) = (one(2), one(3));
    let by_name = r#"{"entity_paths":["$"],"unique_ids":["$.id","$.order_id"],"titles":[]}"#;
    let by_value = r#"{"entity_paths":["$"],"unique_ids":["$.order_id","$.id"],"titles":[]}"#;
    check_with(&one(1), &[&a], None, by_name);
    check_with(&one(1), &[&a, &b], None, by_value);
}

#[test]
fn nested_members_are_guessed_after_the_outer_ones() {
    check(
        r#"{"customer":{"id":5,"name":"N"},"order_id":7}"#,
        Some("$"),
        r#"{"entity_paths":["$","$.customer"],"unique_ids":["$.order_id","$.customer.id"],"titles":["$.customer.name"]}"#,
    );
}

#[test]
fn names_that_are_no_plain_steps_are_quoted() {
    check(
        r#"{"the order":{"order-id":7}}"#,
        Some("$['the order']"),
        r#"{"entity_paths":["$[\"the order\"]"],"unique_ids":["$[\"order-id\"]"],"titles":[]}"#,
    );
}

#[test]
fn a_payload_without_structure_gives_no_guess() {
    check("1", None, r#"{"entity_paths":[],"unique_ids":[],"titles":[]}"#);
    check("[]", None, r#"{"entity_paths":[],"unique_ids":[],"titles":[]}"#);
}

#[test]
fn xml_and_forms_are_looked_into_too() {
    let check = |content_type: &str, body: &str, expected: &str| {
        let payload = payload::decode(Some(content_type), BodyFormat::Auto, body.as_bytes(), &[]).unwrap();
        let found = suggest(payload.as_json().unwrap(), &[], None).to_json();
        assert_eq!(found.to_compact_string(), expected, "{body}");
    };
    check(
        "application/xml",
        r#"<shop:orders xmlns:shop="urn:s"><shop:order><shop:OrderID kind="x">7</shop:OrderID><shop:Name>N</shop:Name></shop:order><shop:order><shop:OrderID kind="x">8</shop:OrderID><shop:Name>M</shop:Name></shop:order></shop:orders>"#,
        r##"{"entity_paths":["$[\"shop:orders\"][\"shop:order\"]"],"unique_ids":["$[\"shop:OrderID\"][\"#text\"]"],"titles":["$[\"shop:Name\"]"]}"##,
    );
    check(
        "application/x-www-form-urlencoded",
        "type=subscribe&data[id]=8a25ff1d98&data[email]=a@b.c&data[merges][FNAME]=A",
        r#"{"entity_paths":["$.data"],"unique_ids":["$.id","$.email"],"titles":["$.email"]}"#,
    );
}

/// However hostile a payload is, guessing ends soon, and what it guesses finds something.
#[test]
fn guessing_is_bounded() {
    let wide = format!(
        "[{}]",
        (0..5_000)
            .map(|n| format!(r#"{{"id":{},"a_id":1,"b_id":2}}"#, n / 2))
            .collect::<Vec<_>>()
            .join(",")
    );
    let found = suggest(&wide.parse().unwrap(), &[], None);
    assert_eq!(found.unique_ids, Vec::<Json>::new());
    let deep = format!("{}{{\"id\":1}}{}", r#"{"a":"#.repeat(100), "}".repeat(100));
    assert_eq!(suggest(&deep.parse().unwrap(), &[], None), Suggestions::default());
}
