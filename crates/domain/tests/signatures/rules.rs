//! What the verifier says, and when: secrets that end, times that are off, forms that are missing.

use hookrail_domain::payload::BodyFormat;
use hookrail_domain::secret::Secret;
use hookrail_domain::signature::{
    HeaderLookup, Mismatch, RequestFacts, RequestUrl, Scheme, SourceSecrets, Verified, Verifier, find_preset,
};

const NOW: i64 = 1_732_226_400_000;
const BODY: &str = r#"{"test": 2432232314}"#;
const SEEN: RequestUrl<'_> = RequestUrl {
    scheme: "http",
    authority: "inside:8080",
    path: "/default/a",
    query: "q=1",
};

/// Headers of a request.
pub(crate) struct Headers(pub(crate) Vec<(&'static str, String)>);

impl HeaderLookup for Headers {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

fn verify(
    scheme: &Scheme,
    source: SourceSecrets<'_>,
    headers: &Headers,
    body: &str,
) -> Result<Verified, Mismatch> {
    let verifier = Verifier::new(scheme, source);
    let query = [("q".to_owned(), "1".to_owned())];
    let request = RequestFacts::new("POST", verifier.url(SEEN), headers, &query).with_body(
        body.as_bytes(),
        Some("application/json"),
        BodyFormat::Auto,
    );
    verifier.verify(&request, None, NOW)
}

fn slack(at_s: i64) -> Headers {
    use ring::hmac;
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"s3cret");
    let signed = hmac::sign(&key, format!("v0:{at_s}:{BODY}").as_bytes());
    let signature = format!("v0={}", data_encoding::HEXUPPER.encode(signed.as_ref()));
    Headers(vec![
        ("x-slack-request-timestamp", at_s.to_string()),
        ("x-slack-signature", signature),
    ])
}

fn check_slack(source: SourceSecrets<'_>, headers: &Headers, expected: Result<Option<usize>, &str>) {
    let scheme = &find_preset("slack").expect("a preset").dimensions;
    let verified = verify(scheme, source, headers, BODY);
    let said = verified
        .map(|verified| verified.secret)
        .map_err(|mismatch| mismatch.to_string());
    assert_eq!(said, expected.map_err(str::to_owned));
}

fn of(secrets: &[Secret]) -> SourceSecrets<'_> {
    SourceSecrets {
        secrets,
        ..SourceSecrets::default()
    }
}

#[test]
fn while_rotating_each_secret_counts_until_its_end() {
    let until = |expires_at| Secret {
        expires_at,
        ..Secret::new("s3cret")
    };
    let now_s = NOW / 1000;
    check_slack(
        of(&[Secret::new("new"), until(Some(NOW + 1))]),
        &slack(now_s),
        Ok(Some(1)),
    );
    let wrong = "no secret in use makes the signature in the header X-Slack-Signature";
    check_slack(
        of(&[Secret::new("new"), until(Some(NOW))]),
        &slack(now_s),
        Err(wrong),
    );
    let none = "the source has no secret in use that this scheme can work with";
    check_slack(of(&[until(Some(NOW))]), &slack(now_s), Err(none));
    check_slack(of(&[]), &slack(now_s), Err(none));
}

#[test]
fn a_time_that_is_off_is_told_in_seconds_and_a_tolerance_of_zero_allows_any() {
    let secrets = [Secret::new("s3cret")];
    let now_s = NOW / 1000;
    check_slack(of(&secrets), &slack(now_s - 300), Ok(Some(0)));
    check_slack(
        of(&secrets),
        &slack(now_s - 400),
        Err("the timestamp is 400 s old, 300 s are allowed"),
    );
    check_slack(
        of(&secrets),
        &slack(now_s + 400),
        Err("the timestamp is 400 s ahead, 300 s are allowed"),
    );
    for (tolerance_s, at_s, expected) in [
        (Some(0), 1, Ok(Some(0))),
        (Some(500), now_s - 400, Ok(Some(0))),
        (
            Some(5),
            now_s - 6,
            Err("the timestamp is 6 s old, 5 s are allowed"),
        ),
    ] {
        let source = SourceSecrets {
            tolerance_s,
            ..of(&secrets)
        };
        check_slack(source, &slack(at_s), expected);
    }
}

#[test]
fn the_part_that_does_not_match_is_named_and_no_secret_is() {
    let secrets = [Secret::new("s3cret")];
    let (now_s, name) = (NOW / 1000, "x-slack-signature");
    let mut without_time = slack(now_s);
    without_time.0.remove(0);
    check_slack(
        of(&secrets),
        &without_time,
        Err("the header X-Slack-Request-Timestamp is missing"),
    );
    check_slack(
        of(&secrets),
        &Headers(Vec::new()),
        Err("the header X-Slack-Signature is missing"),
    );
    for malformed in ["", "v0=", "v0=xyz", "v1=00"] {
        let mut headers = slack(now_s);
        headers.0[1] = (name, malformed.to_owned());
        check_slack(
            of(&secrets),
            &headers,
            Err("the signature in the header X-Slack-Signature is malformed"),
        );
    }
}

#[test]
fn where_a_scheme_needs_no_secret_and_has_none_anyone_may_send_and_else_nobody() {
    let scheme = &find_preset("cloudevents").expect("a preset").dimensions;
    let nothing = Headers(Vec::new());
    assert_eq!(verify(scheme, of(&[]), &nothing, BODY), Ok(Verified::default()));
    assert!(verify(scheme, of(&[Secret::new("s3cret")]), &nothing, BODY).is_err());
    let ended = Secret {
        expires_at: Some(NOW),
        ..Secret::new("s3cret")
    };
    assert!(verify(scheme, of(&[ended]), &nothing, BODY).is_err());
}

#[test]
fn every_item_has_to_be_signed_and_there_has_to_be_one() {
    let scheme = &find_preset("microsoft_graph").expect("a preset").dimensions;
    let secrets = [Secret::new("s3cret")];
    let nothing = Headers(Vec::new());
    let check = |body: &str, expected: bool| {
        assert_eq!(
            verify(scheme, of(&secrets), &nothing, body).is_ok(),
            expected,
            "{body}"
        );
    };
    check(
        r#"{"value": [{"clientState": "s3cret"}, {"clientState": "s3cret"}]}"#,
        true,
    );
    check(
        r#"{"value": [{"clientState": "s3cret"}, {"clientState": "other"}]}"#,
        false,
    );
    check(r#"{"value": [{"clientState": "s3cret"}, {}]}"#, false);
    check(r#"{"value": []}"#, false);
    check(r#"{"value": [{"clientState": null}]}"#, false);
    check("[]", false);
    check("no JSON", false);
}

#[test]
fn a_topic_that_is_not_the_sources_or_a_foreign_host_is_refused_before_anything_is_fetched() {
    let scheme = &find_preset("sns").expect("a preset").dimensions;
    let secrets = [Secret::new("arn:aws:sns:eu-west-1:1:orders")];
    let verifier = Verifier::new(scheme, of(&secrets));
    let check = |topic: &str, url: &str, expected: Result<bool, ()>| {
        let body = format!(
            r#"{{"Type": "Notification", "SignatureVersion": "2", "Signature": "AA==", "TopicArn": "{topic}", "SigningCertURL": "{url}"}}"#
        );
        let headers = Headers(Vec::new());
        let request = RequestFacts::new("POST", SEEN, &headers, &[]).with_body(
            body.as_bytes(),
            Some("text/plain"),
            BodyFormat::Auto,
        );
        let found = verifier.certificate_url(&request, NOW);
        assert_eq!(
            found.map(|url| url.is_some()).map_err(drop),
            expected,
            "{topic} {url}"
        );
        assert!(verifier.verify(&request, None, NOW).is_err());
    };
    let (topic, good) = (
        "arn:aws:sns:eu-west-1:1:orders",
        "https://sns.eu-west-1.amazonaws.com/a.pem",
    );
    check(topic, good, Ok(true));
    check("arn:aws:sns:eu-west-1:2:orders", good, Err(()));
    for url in [
        "http://sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/a.pem",
        "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem",
        "https://127.0.0.1/a.pem",
        "nonsense",
    ] {
        check(topic, url, Err(()));
    }
}

#[test]
fn a_public_url_takes_the_place_of_the_one_that_was_seen() {
    let scheme = &find_preset("square").expect("a preset").dimensions;
    let source = SourceSecrets {
        public_url: Some("https://hooks.example.com/in/a"),
        ..SourceSecrets::default()
    };
    let verifier = Verifier::new(scheme, source);
    let url = verifier.url(SEEN);
    assert_eq!(
        (url.scheme, url.authority, url.path, url.query),
        ("https", "hooks.example.com", "/in/a", "q=1")
    );
    assert_eq!(Verifier::new(scheme, SourceSecrets::default()).url(SEEN), SEEN);
}

#[test]
fn what_is_a_secret_itself_is_known_by_its_place() {
    let verifier = |name: &str| Verifier::new(&find_preset(name).expect("a preset").dimensions, of(&[]));
    assert!(verifier("gitlab").hides_header("x-gitlab-token"));
    assert!(!verifier("gitlab").hides_header("webhook-signature"));
    assert!(verifier("mailchimp").hides_query("secret"));
    assert!(!verifier("github").hides_header("x-hub-signature-256"));
}
