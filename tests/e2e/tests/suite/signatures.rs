//! Signed webhooks: from a source set up as its sender's documentation says, to what its owner is told
//! of forgeries; and requests of senders that are no events.

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::ensure;
use data_encoding::{BASE64, HEXLOWER};
use hookrail_harness::{Api, Stack, eventually};
use ring::hmac;
use serde_json::{Value, json};

use crate::fixtures::{SOON, Source, settled_event, source, source_at_once, text};

const BODY: &str = r#"{"id": 820982911946154508, "action": "opened"}"#;
/// HMAC-SHA-256.
fn mac(secret: &str, message: &str) -> hmac::Tag {
    hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
        message.as_bytes(),
    )
}

fn hex(secret: &str, message: &str) -> String {
    HEXLOWER.encode(mac(secret, message).as_ref())
}

fn github(secret: &str) -> String {
    format!("sha256={}", hex(secret, BODY))
}

fn signed_by(scheme: &str, secret: &str) -> Value {
    json!({"methods": ["POST"], "auth": {"type": "signature", "scheme": scheme, "secrets": [secret]}})
}

#[expect(
    clippy::disallowed_methods,
    reason = "a sender of its own, with a clock of its own"
)]
fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Sends with these headers; the answer has to have this status.
async fn check(api: &Api, source: &Source, headers: &[(&str, &str)], status: u16) -> anyhow::Result<String> {
    let answer = api.send(&source.path, headers, BODY).await?;
    ensure!(
        answer.status == status,
        "{headers:?}: {} {}",
        answer.status,
        answer.text
    );
    Ok(answer.text)
}

pub(crate) async fn a_forged_webhook_is_refused_and_its_owner_is_told_why(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let api = &stack.api;
    let of_github = source_at_once(api, signed_by("github", "dev-secret")).await?;
    let of_gitlab = source_at_once(api, signed_by("gitlab", "token-of-gitlab")).await?;
    let copied = custom_scheme(api).await?;
    let own = source_at_once(api, copied).await?;
    let of_stripe = source(api, signed_by("stripe", "whsec_test")).await?;

    let accepted = check(
        api,
        &of_github,
        &[("x-hub-signature-256", &github("dev-secret"))],
        202,
    )
    .await?;
    let event: Value = serde_json::from_str(&accepted)?;
    ensure!(settled_event(api, &text(&event, "/event_id")?).await?["payload"]["action"] == "opened");
    let wrong = check(api, &of_github, &[("x-hub-signature-256", &github("other"))], 401).await?;
    let missing = check(api, &of_github, &[], 401).await?;
    ensure!(
        wrong == missing && !wrong.contains("header"),
        "the sender is told what failed: {wrong}"
    );

    let (now, old) = (now_s(), now_s() - 400);
    let stripe = |at: u64| format!("t={at},v1={}", hex("whsec_test", &format!("{at}.{BODY}")));
    check(api, &of_stripe, &[("stripe-signature", &stripe(now))], 202).await?;
    check(api, &of_stripe, &[("stripe-signature", &stripe(old))], 401).await?;
    check(api, &own, &[("x-own-signature", &github("own-secret"))], 202).await?;
    check(api, &own, &[("x-hub-signature-256", &github("own-secret"))], 401).await?;

    let kept = check(api, &of_gitlab, &[("x-gitlab-token", "token-of-gitlab")], 202).await?;
    check(api, &of_gitlab, &[("x-gitlab-token", "token-of-someone")], 401).await?;
    let event: Value = serde_json::from_str(&kept)?;
    let event = settled_event(api, &text(&event, "/event_id")?).await?.to_string();
    ensure!(
        !event.contains("token-of-gitlab"),
        "a credential is stored: {event}"
    );

    told(
        api,
        &of_github,
        "makes the signature in the header X-Hub-Signature-256",
    )
    .await?;
    told(api, &of_github, "the header X-Hub-Signature-256 is missing").await?;
    told(api, &of_stripe, "the timestamp is 40").await?;
    told(api, &own, "the header X-Own-Signature is missing").await?;
    let shown = told(api, &of_gitlab, "is no secret in use").await?;
    ensure!(!shown.contains("token-of-"), "a credential is shown: {shown}");
    refused_definitions(api).await
}

/// GitHub's scheme with another header, as an operator would copy and change it.
async fn custom_scheme(api: &Api) -> anyhow::Result<Value> {
    let mut preset = api.get("/signature-schemes/github").await?;
    let place = preset.pointer_mut("/dimensions/checks/0/signature/at/header");
    *place.expect("where the signature is") = json!("X-Own-Signature");
    let auth = json!({"type": "signature", "scheme": "custom", "secrets": ["own-secret"], "dimensions": preset["dimensions"]});
    Ok(json!({"auth": auth}))
}

/// Waits until the source's rejections say this, and gives them.
async fn told(api: &Api, source: &Source, detail: &str) -> anyhow::Result<String> {
    let path = format!("/sources/{}/rejections", source.id);
    eventually(&format!("a rejection says: {detail}"), SOON, || async {
        let shown = api.get(&path).await.ok()?.to_string();
        shown.contains(detail).then_some(shown)
    })
    .await
}

async fn refused_definitions(api: &Api) -> anyhow::Result<()> {
    let check_of = |signed: &str| json!({"checks": [{"algorithm": "hmac-sha256", "signature": {"at": {"header": "X-Sig"}}, "signed": signed}]});
    for (auth, pointer) in [
        (json!({"scheme": "github", "secrets": []}), "/auth/secrets"),
        (json!({"scheme": "nosuch", "secrets": ["a"]}), "/auth/scheme"),
        (
            json!({"scheme": "discord", "secrets": ["no key"]}),
            "/auth/secrets/0",
        ),
        (
            json!({"scheme": "custom", "secrets": ["a"], "dimensions": check_of("{{bdy}}")}),
            "/auth/dimensions/checks/0/signed",
        ),
    ] {
        let mut auth = auth;
        auth["type"] = json!("signature");
        let answer = api
            .call(
                "POST",
                "/sources",
                Some(&json!({"name": "refused", "auth": auth})),
            )
            .await?;
        let problem = answer.expect(422)?;
        ensure!(problem["errors"][0]["pointer"] == pointer, "{pointer}: {problem}");
    }
    Ok(())
}

pub(crate) async fn a_secret_is_rotated_without_a_gap(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let source = source(api, signed_by("github", "first-secret")).await?;
    let path = format!("/sources/{}/secrets", source.id);
    let first = api.get(&format!("/sources/{}", source.id)).await?;
    let first = text(&first, "/auth/secrets/0/id")?;
    let added = api.create(&path, json!({"secret": "second-secret"})).await?;
    ensure!(
        added["secret"] == "second-secret" && added["id"].is_string(),
        "{added}"
    );
    api.get(&format!("/sources/{}", source.id)).await?;
    api.in_force().await?;
    for secret in ["first-secret", "second-secret"] {
        check(api, &source, &[("x-hub-signature-256", &github(secret))], 202).await?;
    }
    let gone = api.call("DELETE", &format!("{path}/{first}"), None).await?;
    ensure!(gone.status == 204, "{}", gone.text);
    api.get(&format!("/sources/{}", source.id)).await?;
    api.in_force().await?;
    check(
        api,
        &source,
        &[("x-hub-signature-256", &github("first-secret"))],
        401,
    )
    .await?;
    check(
        api,
        &source,
        &[("x-hub-signature-256", &github("second-secret"))],
        202,
    )
    .await?;
    let last = text(&added, "/id")?;
    let refused = api.call("DELETE", &format!("{path}/{last}"), None).await?;
    ensure!(
        refused.status == 409,
        "the only secret is deleted: {}",
        refused.text
    );
    Ok(())
}

pub(crate) async fn handshakes_are_answered_and_are_no_events(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let slack = source_at_once(api, signed_by("slack", "signing-secret")).await?;
    let zoom = source_at_once(api, signed_by("zoom", "secret-token")).await?;
    let meta = source_at_once(api, signed_by("meta", "app-secret")).await?;
    let graph = source_at_once(api, signed_by("microsoft_graph", "client-state")).await?;
    let grid = source_at_once(api, signed_by("azure_event_grid", "code-of-grid")).await?;
    let xero = source_at_once(api, signed_by("xero", "webhooks-key")).await?;
    let organization = "00D000000000000EAA";
    let salesforce = source_at_once(api, signed_by("salesforce", organization)).await?;
    let mut own = signed_by("github", "dev-secret");
    own["acknowledgement"] =
        json!({"status": 200, "headers": {"X-Seen": "yes"}, "body": "{\"ok\": \"{{event_id}}\"}"});
    let own = source(api, own).await?;

    let v0 = |secret: &str, body: &str, at: u64| format!("v0={}", hex(secret, &format!("v0:{at}:{body}")));
    let now = now_s();
    let stamp = now.to_string();
    let body =
        r#"{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}"#;
    let signature = v0("signing-secret", body, now);
    let headers = [
        ("x-slack-request-timestamp", stamp.as_str()),
        ("x-slack-signature", signature.as_str()),
    ];
    let answer = api.send(&slack.path, &headers, body).await?;
    ensure!(
        answer.status == 200 && answer.text.starts_with("3eZbrw1"),
        "{}",
        answer.text
    );
    let unsigned = api.send(&slack.path, &headers[..1], body).await?;
    ensure!(unsigned.status == 401, "an unsigned challenge is answered");

    let body = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8\"vlvZRS6UYooatFL8Aw"}}"#;
    let signature = v0("secret-token", body, now);
    let headers = [
        ("x-zm-request-timestamp", stamp.as_str()),
        ("x-zm-signature", signature.as_str()),
    ];
    let answer = api.send(&zoom.path, &headers, body).await?.expect(200)?;
    let token = "qgg8\"vlvZRS6UYooatFL8Aw";
    let expected = json!({"plainToken": token, "encryptedToken": hex("secret-token", token)});
    ensure!(answer == expected, "{answer}");

    let ask = |verify: &str| {
        format!(
            "{}?hub.mode=subscribe&hub.challenge=11582&hub.verify_token={verify}",
            meta.path
        )
    };
    let answer = api.send_as("GET", &ask("app-secret"), &[], "").await?;
    ensure!(
        answer.status == 200 && answer.text == "11582",
        "{} {}",
        answer.status,
        answer.text
    );
    let answer = api.send_as("GET", &ask("guessed"), &[], "").await?;
    ensure!(answer.status == 405, "another verify token: {}", answer.status);

    let path = format!("{}?validationToken=Validation%3A+%3Cb%3E", graph.path);
    let answer = api.send_as("POST", &path, &[], "").await?;
    ensure!(
        answer.status == 200 && answer.text == "Validation: <b>",
        "{}",
        answer.text
    );
    ensure!(
        answer.header("content-type").starts_with("text/plain"),
        "an echo is no page"
    );

    let path = format!("{}?code=code-of-grid", grid.path);
    let origin = [("webhook-request-origin", "eventgrid.azure.net")];
    let answer = api.send_as("OPTIONS", &path, &origin, "").await?;
    let allowed = answer.header("webhook-allowed-origin");
    ensure!(
        answer.status == 200 && allowed == "eventgrid.azure.net",
        "{} {allowed}",
        answer.status
    );
    let body = r#"[{"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"512d38b6"}}]"#;
    let headers = [
        ("aeg-event-type", "SubscriptionValidation"),
        ("content-type", "application/json"),
    ];
    let answer = api.send(&path, &headers, body).await?.expect(200)?;
    ensure!(answer == json!({"validationResponse": "512d38b6"}), "{answer}");

    let body = r#"{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"S0m3r4Nd0mt3xt"}"#;
    let signature = BASE64.encode(mac("webhooks-key", body).as_ref());
    for (signature, status) in [(signature.as_str(), 200), ("AAAA", 401)] {
        let answer = api
            .send(&xero.path, &[("x-xero-signature", signature)], body)
            .await?;
        ensure!(
            answer.status == status && answer.text.is_empty(),
            "{} {}",
            answer.status,
            answer.text
        );
    }
    for source in [&slack, &zoom, &meta, &graph, &grid, &xero] {
        let listed = api.get(&format!("/sources/{}/status", source.id)).await?;
        ensure!(listed["received"] == 0, "a handshake became an event: {listed}");
    }

    let body = format!(
        r#"<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>{organization}</OrganizationId><Notification><Id>04l1</Id></Notification></notifications></soapenv:Body></soapenv:Envelope>"#
    );
    let answer = api
        .send(&salesforce.path, &[("content-type", "text/xml")], body)
        .await?;
    ensure!(
        answer.status == 200 && answer.text.contains("<Ack>true</Ack>"),
        "{} {}",
        answer.status,
        answer.text
    );
    ensure!(
        answer.header("content-type").starts_with("text/xml"),
        "SOAP is XML"
    );

    let answer = api
        .send(&own.path, &[("x-hub-signature-256", &github("dev-secret"))], BODY)
        .await?;
    ensure!(answer.header("x-seen") == "yes" && answer.header("content-type") == "application/json");
    let answer = answer.expect(200)?;
    settled_event(api, &text(&answer, "/ok")?).await?;
    let metrics = stack.metrics().await?;
    ensure!(metrics.contains(r#"cause="handshake""#), "handshakes are counted");
    Ok(())
}
