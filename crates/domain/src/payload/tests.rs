use super::*;
use proptest::prelude::*;

fn decode_as(content_type: &str, body: &[u8]) -> Result<Payload, PayloadError> {
    decode(Some(content_type), BodyFormat::Auto, body, &["item".to_owned()])
}

fn check(content_type: &str, body: impl AsRef<[u8]>, expected: &str) {
    match decode_as(content_type, body.as_ref()) {
        Ok(Payload::Json(json)) => assert_eq!(json.to_compact_string(), expected),
        other => panic!("{content_type} gave {other:?}"),
    }
}

fn check_refused(content_type: &str, body: impl AsRef<[u8]>) {
    let body = body.as_ref();
    let decoded = decode_as(content_type, body);
    assert!(decoded.is_err(), "{}: {decoded:?}", String::from_utf8_lossy(body));
}

#[test]
fn content_types_and_the_source_decide_how_a_body_is_read() {
    check("application/json", "\u{feff}{\"a\":1.10}", r#"{"a":1.10}"#);
    check("Application/Vnd.API+JSON; charset=utf-8", "[1]", "[1]");
    check("application/soap+xml", "<a/>", r#"{"a":""}"#);
    check(
        "application/x-www-form-urlencoded; charset=UTF-8",
        "a=1",
        r#"{"a":"1"}"#,
    );
    assert_eq!(
        decode_as("text/plain", b"hi").unwrap(),
        Payload::Text("hi".into())
    );
    let latin = decode_as("text/csv; charset=\"iso-8859-1\"", b"caf\xe9").unwrap();
    assert_eq!(latin, Payload::Text("café".into()));
    assert_eq!(decode_as("image/png", b"{}").unwrap(), Payload::Bytes);
    let forced = decode(Some("text/plain"), BodyFormat::Json, b"{}", &[]).unwrap();
    assert_eq!(forced, Payload::Json(Json::object()));
}

#[test]
fn an_undeclared_body_is_json_where_it_parses() {
    let undeclared = |body: &[u8]| decode(None, BodyFormat::Auto, body, &[]).unwrap();
    assert_eq!(undeclared(b" {} "), Payload::Json(Json::object()));
    assert_eq!(undeclared(b"{"), Payload::Bytes);
    assert_eq!(undeclared(b"12"), Payload::Bytes);
    assert_eq!(undeclared(b""), Payload::Bytes);
}

#[test]
fn xml_becomes_json_without_guessing() {
    let xml = "application/xml";
    check(xml, "<a>007</a>", r#"{"a":"007"}"#);
    check(
        xml,
        "<a x='1' y=\"2\">t</a>",
        r##"{"a":{"@x":"1","@y":"2","#text":"t"}}"##,
    );
    check(
        xml,
        "<a>\n <b>1</b>\n <c/>\n <b>2</b>\n</a>",
        r#"{"a":{"b":["1","2"],"c":""}}"#,
    );
    check(xml, "<a>one<b/>two</a>", r##"{"a":{"b":"","#text":"onetwo"}}"##);
    check(xml, "<l><item>1</item></l>", r#"{"l":{"item":["1"]}}"#);
    check(xml, "<l><item>1</item><item/></l>", r#"{"l":{"item":["1",""]}}"#);
    check(
        xml,
        r#"<s:E xmlns:s="urn:s" xmlns="urn:d"><s:B s:id="1"><Id>5</Id></s:B></s:E>"#,
        r#"{"s:E":{"s:B":{"@s:id":"1","Id":"5"}}}"#,
    );
    check(
        xml,
        "<a>&lt;&amp;&#x263A;<![CDATA[<b>]]></a>",
        r#"{"a":"<&☺<b>"}"#,
    );
    check(
        xml,
        "<?xml version=\"1.0\"?><!-- c --><?p i?><a><!-- c -->x</a>",
        r#"{"a":"x"}"#,
    );
}

#[test]
fn xml_is_read_in_the_encoding_that_it_is_in() {
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        let units = text.encode_utf16();
        units
            .flat_map(|unit| {
                if big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            })
            .collect()
    };
    let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a>é☃</a>";
    let expected = r#"{"a":"é☃"}"#;
    check(
        "text/xml",
        [b"\xff\xfe".as_slice(), &utf16(text, false)].concat(),
        expected,
    );
    check(
        "text/xml",
        [b"\xfe\xff".as_slice(), &utf16(text, true)].concat(),
        expected,
    );
    check("text/xml", utf16(text, false), expected);
    check("text/xml", format!("\u{feff}{}", "<a>é☃</a>"), expected);
    let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>";
    check("text/xml", latin, r#"{"a":"é"}"#);
    check("text/xml; charset=iso-8859-1", b"<a>\xe9</a>", r#"{"a":"é"}"#);
    check_refused("text/xml", b"<a>\xe9</a>");
    check_refused("text/xml", b"<?xml version='1.0' encoding='klingon'?><a/>");
}

#[test]
fn malformed_and_dangerous_xml_is_refused() {
    for body in [
        "",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a x=1/>",
        "<a x='1' x='2'/>",
        "<a>&unknown;</a>",
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>",
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
        "<a>\u{1}</a>",
        "<p:a/>",
        "text",
    ] {
        check_refused("application/xml", body);
    }
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(decode_as("text/xml", nested(MAX_XML_DEPTH).as_bytes()).is_ok());
    check_refused("text/xml", nested(MAX_XML_DEPTH + 1));
    check_refused("text/xml", "<a>".repeat(300_000));
    let attributes: String = (0..50_000).map(|i| format!(" a{i}=''")).collect();
    check_refused("text/xml", format!("<a{attributes}/>"));
    let namespaces: String = (0..100).map(|i| format!("<a xmlns:n{i}='u'>")).collect();
    check_refused("text/xml", format!("{namespaces}{}", "</a>".repeat(100)));
}

#[test]
fn forms_nest_and_repeat() {
    let form = "application/x-www-form-urlencoded";
    check(form, "", "{}");
    check(form, "a=1&b=x+y%21&a=2&c", r#"{"a":["1","2"],"b":"x y!","c":""}"#);
    check(form, "a[b][c]=1&a[b][d]=2", r#"{"a":{"b":{"c":"1","d":"2"}}}"#);
    check(form, "a%5B%5D=1&a[]=2", r#"{"a":["1","2"]}"#);
    check(
        form,
        "a[0][x]=1&a[0][y]=2&a[1][x]=3",
        r#"{"a":[{"x":"1","y":"2"},{"x":"3"}]}"#,
    );
    check(form, "a=1&a[b]=2", r#"{"a":"1","a[b]":"2"}"#);
    check(form, "a[5]=1&[x]=2&a[b=3", r#"{"a[5]":"1","[x]":"2","a[b":"3"}"#);
    check(
        "application/x-www-form-urlencoded;charset=iso-8859-1",
        "a=%E9",
        r#"{"a":"é"}"#,
    );
    check_refused(form, "a=%E9");
    check_refused(form, "a=%2");
}

#[test]
fn payloads_have_a_json_view() {
    assert_eq!(Payload::Text("x".into()).into_json(), Json::from("x"));
    assert_eq!(Payload::Bytes.into_json(), Json::Null);
    assert_eq!(Payload::Bytes.as_json(), None);
}

proptest! {
    #[test]
    fn any_body_decodes_or_is_refused_without_a_panic(body: Vec<u8>) {
        for content_type in ["application/json", "text/xml", "application/x-www-form-urlencoded", "text/plain"] {
            let _ = decode_as(content_type, &body);
        }
    }

    #[test]
    fn any_form_decodes_without_a_panic(body in "([ab]|\\[|\\]|0|1|=|&){0,40}") {
        let decoded = decode_as("application/x-www-form-urlencoded", body.as_bytes());
        prop_assert!(decoded.is_ok());
    }

    #[test]
    fn any_markup_decodes_or_is_refused_without_a_panic(body in "(<a|<b:c|</a>|</b:c>|>|/>| x='|' |xmlns:b='u'|<!--|-->|<!\\[CDATA\\[|\\]\\]>|&lt;|t|é){0,24}") {
        let _ = decode_as("text/xml", body.as_bytes());
    }
}
