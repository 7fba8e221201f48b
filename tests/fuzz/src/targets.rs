//! What each parser promises, whatever the bytes.

use hookrail_broker::codec;
use hookrail_domain::{
    handshake::{Handshakes, Stage},
    ids::DestinationId,
    json::Json,
    jsonpath::JsonPath,
    jwt::{self, JwtKey, WantedClaims},
    payload::{self, BodyFormat, Payload},
    respond::Preference,
    secret::Secret,
    signature::{HeaderLookup, PRESETS, RequestFacts, RequestUrl, Scheme, SourceSecrets, Verifier},
    source::SourceSpec,
    validation::FieldError,
    wellformed::{self, KeyPaths},
};

/// A target's name and itself.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("json", json),
    ("xml", xml),
    ("form", form),
    ("multipart", multipart),
    ("text", text),
    ("filter", filter),
    ("jsonpath", jsonpath),
    ("jwt", jwt),
    ("source", source),
    ("contracts", contracts),
    ("signature", signature),
    ("handshake", handshake),
    ("preference", preference),
];

/// What is read as JSON is written as JSON that reads the same; the ingress's pass agrees with it.
fn json(bytes: &[u8]) {
    let read = Json::parse(bytes);
    let passed = wellformed::check(
        Some("application/json"),
        BodyFormat::Auto,
        bytes,
        &[],
        &KeyPaths::default(),
    );
    assert_eq!(read.is_ok(), passed.is_ok(), "two readings disagree");
    if let Ok(read) = read {
        let written = read.to_compact_vec();
        let again = Json::parse(&written).expect("what was written is JSON");
        assert!(again == read, "written and read, it is another value");
        assert_eq!(again.to_compact_vec(), written);
    }
}

/// A payload as JSON is JSON.
fn decoded(content_type: &str, bytes: &[u8], force_list: &[String]) {
    if let Ok(Payload::Json(read)) = payload::decode(Some(content_type), BodyFormat::Auto, bytes, force_list)
    {
        Json::parse(&read.to_compact_vec()).expect("a payload is JSON");
    }
}

fn xml(bytes: &[u8]) {
    decoded("application/xml", bytes, &["b".to_owned(), "c".to_owned()]);
}

fn form(bytes: &[u8]) {
    decoded("application/x-www-form-urlencoded", bytes, &[]);
}

fn multipart(bytes: &[u8]) {
    decoded("multipart/form-data; boundary=xx", bytes, &[]);
}

/// Any text in any charset is text.
fn text(bytes: &[u8]) {
    for charset in ["utf-8", "utf-16", "iso-8859-1", "shift_jis", "nonsense"] {
        let content_type = format!("text/plain; charset={charset}");
        let read = payload::decode(Some(&content_type), BodyFormat::Auto, bytes, &[]);
        assert!(matches!(read, Ok(Payload::Text(_))));
    }
}

/// A filter that is accepted can be written, read and evaluated.
fn filter(bytes: &[u8]) {
    let Ok(definition) = Json::parse(bytes) else {
        return;
    };
    let mut errors: Vec<FieldError> = Vec::new();
    let parsed = hookrail_domain::filter::Filter::parse(&definition, "/filter", &mut errors);
    assert_eq!(parsed.is_some(), errors.is_empty(), "accepted with faults");
    if let Some(filter) = parsed {
        assert!(filter.definition() == &definition);
    }
}

/// A path that is accepted is evaluated within its budget.
fn jsonpath(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(path) = JsonPath::parse(text) else { return };
    let document = br#"{"a":[{"b":[1,2,{"c":null}]},{"b":"x"}],"c":{"a":{"b":{"c":[[[1]]]}}}}"#;
    let document = Json::parse(document).expect("it is JSON");
    let _within_budget = path.select(&document);
    assert!(JsonPath::parse(path.as_str()).is_ok());
}

/// No bytes are a signed token of a key that nobody has used.
fn jwt(bytes: &[u8]) {
    let Ok(token) = std::str::from_utf8(bytes) else {
        return;
    };
    let keys = [JwtKey::from_secret("nobody has signed anything with this")];
    assert!(jwt::check(token, &keys, WantedClaims::default(), 0).is_err());
    let _keys_or_not = jwt::published_keys(bytes);
}

/// A source that is accepted is written and read as the same.
fn source(bytes: &[u8]) {
    let Ok(spec) = serde_json::from_slice::<SourceSpec>(bytes) else {
        return;
    };
    if spec.validate().is_ok() {
        let _effective = spec.effective_ordering();
    }
}

/// A request whose headers all have the same value.
struct SameHeaders<'a>(&'a str);

impl HeaderLookup for SameHeaders<'_> {
    fn header(&self, _: &str) -> Option<&str> {
        Some(self.0)
    }
}

/// A request and the scheme of its source: the first line is every header and parameter, and chooses the
/// preset; the rest is the body. `None` where the line is no text.
fn with_request(bytes: &[u8], act: impl Fn(&Scheme, &RequestFacts<'_, SameHeaders<'_>>)) {
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    let Ok(line) = std::str::from_utf8(&bytes[..end]) else {
        return;
    };
    let chosen: usize = line.bytes().map(usize::from).sum();
    let names = [
        "signature",
        "hub.challenge",
        "hub.verify_token",
        "challenge",
        "validationToken",
    ];
    let query = names.map(|name| (name.to_owned(), line.to_owned()));
    let headers = SameHeaders(line);
    let url = RequestUrl {
        scheme: "https",
        authority: "hooks.example.com",
        path: "/default/fuzz",
        query: line,
    };
    let facts = RequestFacts::new("POST", url, &headers, &query);
    let facts = facts.with_body(&bytes[end..], None, BodyFormat::Auto);
    act(&PRESETS[chosen % PRESETS.len()].dimensions, &facts);
}

/// What nobody signed is never let in.
fn signature(bytes: &[u8]) {
    let secrets = [Secret::new(
        "whsec_bm9ib2R5IGhhcyBzaWduZWQgYW55dGhpbmcgd2l0aCB0aGlz",
    )];
    with_request(bytes, |scheme, facts| {
        let source = SourceSecrets {
            secrets: &secrets,
            verify_token: None,
            tolerance_s: Some(0),
            public_url: None,
        };
        let verified = Verifier::new(scheme, source).verify(facts, None, 0);
        assert!(verified.is_err(), "a forged request is let in");
    });
}

/// An answer to a handshake is one that can be sent.
fn handshake(bytes: &[u8]) {
    with_request(bytes, |scheme, facts| {
        let handshakes = Handshakes::new(&scheme.handshakes);
        for stage in [Stage::Head, Stage::Body, Stage::Signed] {
            let Some(fitting) = handshakes.answer(stage, facts, Some("a secret"), &|_| true) else {
                continue;
            };
            assert!((200..500).contains(&fitting.answer.status));
            let headers = &fitting.answer.headers;
            assert!(
                headers.iter().all(|(_, value)| !value.contains(['\r', '\n'])),
                "a header of its own"
            );
        }
    });
}

/// Whatever a sender prefers, it waits no longer than its source lets it.
fn preference(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!((0..=30_000).contains(&Preference::read([text]).waits_ms(30_000)));
    }
}

/// Bytes of another writer are a contract's or refused.
fn contracts(bytes: &[u8]) {
    if let Ok(event) = codec::decode_event(bytes) {
        let again = codec::decode_event(&codec::encode_event(event.clone()));
        assert!(again.is_ok_and(|again| again == event));
    }
    let _delivery = codec::decode_delivery(bytes);
    let _parked = codec::decode_parked(bytes);
    let _state = codec::decode_lane_state(bytes);
    let _record = codec::decode_record(bytes);
    let _dead = codec::decode_dead(bytes);
    let _entry = codec::decode_entry(bytes);
    let _request = codec::decode_owner_request(bytes);
    let _answer = codec::decode_owner_answer(bytes, DestinationId::from_u128(1));
}
