//! Handshakes: what is answered, at which stage, and what is left alone.

use hookrail_domain::handshake::{Handshakes, ReadyAnswer, Stage};
use hookrail_domain::payload::BodyFormat;
use hookrail_domain::signature::{RequestFacts, RequestUrl, find_preset};

use crate::rules::Headers;

const SECRET: &str = "s3cret";

struct Greeting<'a> {
    scheme: &'a str,
    stage: Stage,
    method: &'a str,
    query: &'a [(&'a str, &'a str)],
    body: &'a str,
}

const POST: Greeting<'_> = Greeting {
    scheme: "",
    stage: Stage::Signed,
    method: "POST",
    query: &[],
    body: "",
};

fn answer(greeting: &Greeting<'_>, headers: Vec<(&'static str, String)>) -> Option<ReadyAnswer> {
    let preset = find_preset(greeting.scheme).unwrap_or_else(|| panic!("{} is a preset", greeting.scheme));
    let handshakes = Handshakes::new(&preset.dimensions.handshakes);
    let url = RequestUrl {
        scheme: "https",
        authority: "a.example",
        path: "/",
        query: "",
    };
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let query: Vec<_> = greeting.query.iter().map(owned).collect();
    let headers = Headers(headers);
    let facts = RequestFacts::new(greeting.method, url, &headers, &query).with_body(
        greeting.body.as_bytes(),
        None,
        BodyFormat::Auto,
    );
    let fitting = handshakes.answer(greeting.stage, &facts, Some(SECRET), &|text| text == SECRET);
    fitting.map(|fitting| fitting.answer)
}

fn check(greeting: Greeting<'_>, expected: Option<(u16, &str)>) {
    let name = greeting.scheme;
    let ready = answer(&greeting, Vec::new());
    let said = ready.as_ref().map(|ready| (ready.status, ready.body.as_str()));
    assert_eq!(said, expected, "{name}");
}

#[test]
fn challenges_in_the_query_are_answered_before_the_body_is_read() {
    let get = |scheme, query| Greeting {
        scheme,
        stage: Stage::Head,
        method: "GET",
        query,
        body: "",
    };
    let ask = [
        ("hub.mode", "subscribe"),
        ("hub.verify_token", SECRET),
        ("hub.challenge", "11"),
    ];
    check(get("meta", &ask), Some((200, "11")));
    let guessed = [
        ("hub.mode", "subscribe"),
        ("hub.verify_token", "x"),
        ("hub.challenge", "11"),
    ];
    check(get("meta", &guessed), None);
    check(get("dropbox", &[("challenge", "abc")]), Some((200, "abc")));
    check(get("dropbox", &[]), None);
    check(get("mailchimp", &[("secret", SECRET)]), Some((200, "")));
    check(get("mailchimp", &[("secret", "x")]), None);
    let long = "x".repeat(20_000);
    check(get("dropbox", &[("challenge", &long)]), None);
}

#[test]
fn challenges_in_the_body_are_answered_once_they_are_verified() {
    let post = |scheme, body| Greeting { scheme, body, ..POST };
    check(
        post("slack", r#"{"type": "url_verification", "challenge": "a\"b"}"#),
        Some((200, "a\"b")),
    );
    check(post("slack", r#"{"type": "event_callback"}"#), None);
    check(
        post("discord", r#"{"type": 1, "application_id": "1"}"#),
        Some((200, r#"{"type":1}"#)),
    );
    check(
        post("discord", r#"{"type": 0, "application_id": "1"}"#),
        Some((204, "")),
    );
    check(post("discord", r#"{"type": 2, "application_id": "1"}"#), None);
    check(post("xero", r#"{"events": [], "entropy": "a"}"#), Some((200, "")));
    check(post("xero", r#"{"events": [{}], "entropy": "a"}"#), None);
    let expected = concat!(
        r#"{"plainToken":"a\"b","encryptedToken":""#,
        "382846bbf4af170b926375a048a58219794d7a18f6638e932a9a712d4d915dff",
        r#""}"#
    );
    let zoom = post(
        "zoom",
        r#"{"event": "endpoint.url_validation", "payload": {"plainToken": "a\"b"}}"#,
    );
    check(zoom, Some((200, expected)));
    check(
        Greeting {
            stage: Stage::Head,
            ..post("slack", r#"{"type": "url_verification", "challenge": "a"}"#)
        },
        None,
    );
}

#[test]
fn a_permission_names_its_asker_unless_that_would_break_the_answer() {
    let options = Greeting {
        scheme: "cloudevents",
        stage: Stage::Head,
        method: "OPTIONS",
        ..POST
    };
    let origin = |value: &str| vec![("webhook-request-origin", value.to_owned())];
    let ready = answer(&options, origin("eventemitter.example.com")).expect("an answer");
    let allowed = ready
        .headers
        .iter()
        .find(|(name, _)| name == "WebHook-Allowed-Origin");
    assert_eq!(
        allowed.map(|(_, value)| value.as_str()),
        Some("eventemitter.example.com")
    );
    assert_eq!(answer(&options, origin("a\r\nSet-Cookie: b")), None);
    assert_eq!(answer(&options, Vec::new()), None);
}
