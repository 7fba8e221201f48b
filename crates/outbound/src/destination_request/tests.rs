use hookrail_domain::destination::{Signing, SigningAlgorithm};
use hookrail_domain::signature::{SigningKey, format_standard_secret};

use super::*;

const NOW: Millis = 1_764_000_000_123;

fn spec(auth: DestinationAuth) -> DestinationSpec {
    DestinationSpec {
        url: "https://receiver.example/hook".into(),
        auth,
        signing: Signing::None,
        ..DestinationSpec::default()
    }
}

fn made(spec: &DestinationSpec) -> Result<MadeRequest, RequestError> {
    let content = RequestContent {
        webhook_id: "dlv_1",
        body: Bytes::from_static(b"{}"),
        content_type: Some("application/json"),
        headers: vec![("hookrail-attempt".into(), "2".into())],
    };
    make_request(spec, content, NOW)
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// The headers are the usual ones, then `more`, then `secret`, of which nothing is kept.
fn check(spec: &DestinationSpec, more: &[(&str, &str)], secret: &[(&str, &str)]) {
    let usual = [
        ("content-type", "application/json"),
        ("webhook-id", "dlv_1"),
        ("webhook-timestamp", "1764000000"),
        ("hookrail-attempt", "2"),
    ];
    let made = made(spec).unwrap();
    assert_eq!(made.request.headers, pairs(&[&usual[..], more, secret].concat()));
    assert_eq!(made.kept_headers, pairs(&[&usual[..], more].concat()));
}

#[test]
fn a_request_is_made_of_definition_and_content() {
    let mut spec = spec(DestinationAuth::None);
    spec.headers.insert("X-Team".into(), "a".into());
    check(&spec, &[("x-team", "a")], &[]);
    let request = made(&spec).unwrap().request;
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        ("POST", "https://receiver.example/hook")
    );
    assert_eq!((&request.body[..], request.timeout_ms), (&b"{}"[..], 15_000));
}

#[test]
fn credentials_are_sent_and_never_kept() {
    let header = DestinationAuth::Header {
        name: "X-Own".into(),
        value: Secret::new("v"),
    };
    check(&spec(header), &[], &[("x-own", "v")]);
    let basic = DestinationAuth::Basic {
        username: "u".into(),
        password: Secret::new("p"),
    };
    check(&spec(basic), &[], &[("authorization", "Basic dTpw")]);
    let bearer = DestinationAuth::Bearer {
        token: Secret::new("t"),
    };
    let both = DestinationSpec {
        api_key: Some(Secret::new("k")),
        ..spec(bearer)
    };
    check(&both, &[], &[("authorization", "Bearer t"), ("x-api-key", "k")]);
}

#[test]
fn a_credential_among_the_plain_headers_is_not_kept_either() {
    let mut spec = spec(DestinationAuth::None);
    spec.headers.insert("Authorization".into(), "Bearer t".into());
    let made = made(&spec).unwrap();
    assert!(
        made.request
            .headers
            .contains(&("authorization".into(), "Bearer t".into()))
    );
    assert!(made.kept_headers.iter().all(|(name, _)| name != "authorization"));
}

#[test]
fn a_content_type_of_the_definition_is_the_only_one() {
    let mut spec = spec(DestinationAuth::None);
    spec.headers.insert("Content-Type".into(), "text/plain".into());
    let headers = made(&spec).unwrap().request.headers;
    let types: Vec<_> = headers
        .iter()
        .filter(|(name, _)| name == "content-type")
        .map(|(_, v)| v.as_str())
        .collect();
    assert_eq!(types, ["text/plain"]);
}

#[test]
fn a_signature_by_every_secret_in_use_is_sent_and_not_kept() {
    let secrets = [[1; 32], [2; 32], [3; 32]].map(|key| Secret::new(format_standard_secret(&key)));
    let [first, second, over] = secrets;
    let over = Secret {
        expires_at: Some(NOW),
        ..over
    };
    let text = [&first, &second].map(|secret| secret.value.clone().unwrap());
    let signing = Signing::StandardWebhooks {
        algorithm: SigningAlgorithm::HmacSha256,
        secrets: vec![first, second, over],
        public_keys: Vec::new(),
    };
    let made = made(&DestinationSpec {
        signing,
        ..spec(DestinationAuth::None)
    })
    .unwrap();
    let (name, value) = made.request.headers.last().unwrap();
    assert_eq!(
        (name.as_str(), value.split(' ').count()),
        ("webhook-signature", 2)
    );
    for secret in text {
        assert!(
            SigningKey::parse(&secret)
                .unwrap()
                .verifies("dlv_1", NOW / 1000, b"{}", value)
        );
    }
    assert!(
        made.kept_headers
            .iter()
            .all(|(name, _)| name != "webhook-signature")
    );
}

#[test]
fn a_secret_that_can_not_be_used_is_named_by_its_place() {
    let pointer = |spec: DestinationSpec| made(&spec).unwrap_err().pointer();
    let bearer = DestinationAuth::Bearer {
        token: Secret::default(),
    };
    assert_eq!(pointer(spec(bearer)), "/auth/token");
    let over = Secret {
        expires_at: Some(NOW),
        ..Secret::new("k")
    };
    assert_eq!(
        pointer(DestinationSpec {
            api_key: Some(over),
            ..spec(DestinationAuth::None)
        }),
        "/api_key"
    );
    for secrets in [Vec::new(), vec![Secret::new("whsec_short")]] {
        let signing = Signing::StandardWebhooks {
            algorithm: Default::default(),
            secrets,
            public_keys: Vec::new(),
        };
        assert_eq!(
            pointer(DestinationSpec {
                signing,
                ..spec(DestinationAuth::None)
            }),
            "/signing/secrets"
        );
    }
}

#[test]
fn with_get_the_members_are_in_the_url_and_an_empty_body_is_signed() {
    let (method, url) = (
        DestinationMethod::Get,
        "https://receiver.example/hook?own=1".into(),
    );
    let mut spec = DestinationSpec {
        method,
        url,
        ..spec(DestinationAuth::None)
    };
    let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    spec.signing = Signing::StandardWebhooks {
        algorithm: Default::default(),
        secrets: vec![secret],
        public_keys: Vec::new(),
    };
    let content = |body: &'static str| RequestContent {
        webhook_id: "dlv_1",
        body: Bytes::from_static(body.as_bytes()),
        content_type: Some("application/json"),
        headers: Vec::new(),
    };
    let made = make_request(&spec, content(r#"{"a":{"b":1.10},"c":null}"#), NOW).unwrap();
    let request = &made.request;
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        ("GET", "https://receiver.example/hook?own=1&a_b=1.10&c=")
    );
    assert!(request.body.is_empty());
    let header = |wanted: &str| request.headers.iter().find(|(name, _)| name == wanted);
    assert_eq!(header("content-type"), None);
    let signed = header("webhook-signature").cloned();
    let empty = DestinationSpec {
        method: DestinationMethod::Post,
        ..spec.clone()
    };
    let of_nothing = make_request(&empty, content(""), NOW).unwrap().request;
    let of_nothing = of_nothing
        .headers
        .into_iter()
        .find(|(name, _)| name == "webhook-signature");
    assert_eq!(signed, of_nothing);
    let clash = make_request(&spec, content(r#"{"a":{"b":1},"a_b":2}"#), NOW);
    assert_eq!(
        clash.map(|_| ()),
        Err(RequestError::Query(QueryError::Clash("a_b".into())))
    );
}
