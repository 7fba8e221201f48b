//! What goes out, in every shape: formats, methods and credentials, probes, event types of one's own.

use std::{collections::BTreeSet, net::TcpListener, sync::Arc};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use futures::future::try_join_all;
use hookrail_harness::{Api, Arrival, Receiver, Reply, Stack};
use serde_json::{Value, json};

use crate::fixtures::{SOON, text, unique};

const FORMATS: [&str; 5] = ["event", "raw", "mapped", "cloudevents", "cloudevents-binary"];
const METHODS: [&str; 5] = ["POST", "PUT", "PATCH", "DELETE", "GET"];

/// Each way to authenticate: its name, its members of a definition, the header that a receiver gets.
fn credentials(token_url: &str) -> [(&'static str, Value, (&'static str, &'static str)); 5] {
    let oauth = json!({"type": "oauth2_client_credentials", "token_url": token_url, "client_id": "c",
        "client_secret": "s", "scopes": ["a", "b"], "audience": "x", "client_auth": "body"});
    [
        (
            "header",
            json!({"auth": {"type": "header", "name": "X-Own", "value": "v"}}),
            ("x-own", "v"),
        ),
        (
            "basic",
            json!({"auth": {"type": "basic", "username": "u", "password": "p"}}),
            ("authorization", "Basic dTpw"),
        ),
        (
            "bearer",
            json!({"auth": {"type": "bearer", "token": "t"}}),
            ("authorization", "Bearer t"),
        ),
        (
            "oauth2",
            json!({"auth": oauth}),
            ("authorization", "Bearer the-token"),
        ),
        (
            "api_key",
            json!({"api_key": "the-receivers-key"}),
            ("x-api-key", "the-receivers-key"),
        ),
    ]
}

pub(crate) async fn every_format_goes_by_every_method_with_every_credential(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let api = &stack.api;
    let receiver = Receiver::with_script(|arrival| match arrival.path.as_str() {
        "/token" => Reply {
            body: r#"{"access_token":"the-token","token_type":"Bearer","expires_in":3600}"#.into(),
            ..Reply::status(200)
        },
        _ => Reply::status(204),
    })?;
    let (name, credentials) = (
        unique("shape").replace('-', "_"),
        credentials(&format!("{}/token", receiver.url())),
    );
    let mut wanted = Vec::new();
    for format in FORMATS {
        for method in METHODS
            .into_iter()
            .filter(|method| *method != "GET" || ["event", "mapped"].contains(&format))
        {
            wanted.extend(credentials.iter().map(|credential| (format, method, credential)));
        }
    }
    let made = wanted.iter().map(|(format, method, (auth, members, _))| {
        let mut spec = json!({"name": unique("shape"), "format": format, "method": method,
            "url": format!("{}/{format}/{method}/{auth}", receiver.url())});
        if *format != "mapped" {
            spec["events"] = json!([name]);
        }
        spec.as_object_mut()
            .into_iter()
            .for_each(|spec| spec.extend(members.as_object().cloned().unwrap_or_default()));
        subscribe(api, spec, &name)
    });
    try_join_all(made).await?;
    api.in_force().await?;
    let event = json!({"event_type": name, "data": {"n": 1, "in": {"a": "ü"}}});
    api.call("POST", "/events", Some(&event)).await?.expect(202)?;
    // Each of them, and one request for the token that they share.
    let arrivals = receiver.wait_for(wanted.len() + 1, SOON).await?;
    let tokens: Vec<_> = arrivals
        .iter()
        .filter(|arrival| arrival.path == "/token")
        .collect();
    ensure!(
        tokens.len() == 1
            && tokens[0].text()
                == "grant_type=client_credentials&scope=a+b&audience=x&client_id=c&client_secret=s",
        "{tokens:?}"
    );
    for (format, method, (auth, _, header)) in &wanted {
        let path = format!("/{format}/{method}/{auth}");
        let found = arrivals
            .iter()
            .find(|arrival| arrival.path.split('?').next() == Some(&path));
        let arrival = found.with_context(|| path.clone())?;
        ensure!(
            arrival.method == *method && arrival.header(header.0) == header.1,
            "{arrival:?}"
        );
        ensure!(
            arrival.header("webhook-signature").starts_with("v1,"),
            "{arrival:?}"
        );
        check_body(arrival, format, &name).with_context(|| path)?;
    }
    Ok(())
}

/// A destination that isn't probed, with a route where it needs a mapping.
async fn subscribe(api: &Api, spec: Value, event: &str) -> anyhow::Result<()> {
    let created = api.create("/destinations?probe=false", spec.clone()).await?;
    if spec["format"] == "mapped" {
        let route = json!({"name": unique("shape"), "events": [event], "destination": created["id"],
            "mapping": {"m": "$.n", "text": "{{in.a}}!"}});
        api.create("/routes", route).await?;
    }
    Ok(())
}

fn check_body(arrival: &Arrival, format: &str, event: &str) -> anyhow::Result<()> {
    const DATA: &str = r#"{"n":1,"in":{"a":"ü"}}"#;
    let is_right = match (format, arrival.method.as_str()) {
        ("event", "GET") => arrival.path.ends_with("&data_n=1&data_in_a=%C3%BC") && arrival.body.is_empty(),
        ("mapped", "GET") => arrival.path.ends_with("?m=1&text=%C3%BC%21") && arrival.body.is_empty(),
        ("event", _) => {
            arrival.json()["event_type"] == event && arrival.text().ends_with(&format!(r#""data":{DATA}}}"#))
        }
        ("mapped", _) => arrival.text() == r#"{"m":1,"text":"ü!"}"#,
        ("raw", _) => arrival.text() == DATA,
        ("cloudevents", _) => {
            arrival.header("content-type") == "application/cloudevents+json"
                && arrival.json()["data"]["n"] == 1
        }
        _ => arrival.header("ce-type") == event && arrival.text() == DATA,
    };
    ensure!(is_right, "{} {}: {arrival:?}", arrival.path, arrival.text());
    Ok(())
}

pub(crate) async fn a_probe_says_what_happened(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let receiver = Receiver::start()?;
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let silent = format!("http://{}/", silent.local_addr()?);
    let good = format!("{}/hook", receiver.url());
    let closed = "http://127.0.0.1:9/";
    let oauth = json!({"type": "oauth2_client_credentials", "token_url": closed, "client_id": "c", "client_secret": "planted"});
    let pem = include_str!("../../../../crates/outbound/testdata/private-authority.pem");
    // What is written, the code of the failure, and whether connecting alone shows it.
    let rows = [
        (json!({"url": "http://no-such-host.invalid/"}), "dns", true),
        (json!({"url": closed}), "connect", true),
        (json!({"url": good.replace("http:", "https:")}), "tls", true),
        (
            json!({"url": good.replace("http:", "https:"), "tls": {"ca": pem}}),
            "tls",
            true,
        ),
        (json!({"url": silent, "timeout_ms": 200}), "timeout", false),
        (json!({"url": good, "auth": oauth}), "auth", false),
        (json!({"url": good, "proxy": {"url": closed}}), "proxy", true),
        (
            json!({"url": good, "proxy": {"url": "socks5://127.0.0.1:9", "username": "u", "password": "planted"}}),
            "proxy",
            true,
        ),
        (json!({"url": format!("{}/api/v1/none", api.api)}), "401", false),
    ];
    let existing = api.create("/destinations", named(&json!({"url": good}))).await?;
    let existing = format!("/destinations/{}", text(&existing, "/id")?);
    for (spec, code, when_connecting) in &rows {
        let whole = api
            .call("POST", "/destinations", Some(&named(spec)))
            .await?
            .expect(422)?;
        ensure!(whole["code"] == "probe-failed", "{whole}");
        let attempt = &whole["attempt"];
        let happened = attempt["error"]["code"]
            .as_str()
            .map_or_else(|| attempt["response"]["status"].to_string(), str::to_owned);
        ensure!(happened == *code, "{spec}: {whole}");
        ensure!(!whole.to_string().contains("planted"), "{whole}");
        let connected = api
            .call("POST", "/destinations?probe=connect", Some(&named(spec)))
            .await?;
        ensure!(
            connected.status == if *when_connecting { 422 } else { 201 },
            "{spec}: {}",
            connected.text
        );
        let unprobed = api
            .call("POST", "/destinations?probe=false", Some(&named(spec)))
            .await?;
        ensure!(unprobed.status == 201, "{spec}: {}", unprobed.text);
        // A change is refused likewise, and changes nothing.
        let changed = api.call("PATCH", &existing, Some(spec)).await?.expect(422)?;
        ensure!(changed["code"] == "probe-failed", "{changed}");
        let kept = api.get(&existing).await?;
        ensure!(
            kept["url"] == good.as_str() && kept["proxy"].is_null() && kept["auth"]["type"] == "none",
            "{kept}"
        );
    }
    // What could never be sent to is refused whether it is probed or not.
    for (spec, pointer) in [
        (json!({"url": "http://10.0.0.1/"}), "/url"),
        (json!({"url": "http://[::ffff:a9fe:a9fe]/"}), "/url"),
        (
            json!({"url": good, "proxy": {"url": "http://0xa9fea9fe:3128"}}),
            "/proxy/url",
        ),
        (
            json!({"url": good, "proxy": {"url": "ftp://127.0.0.1"}}),
            "/proxy/url",
        ),
        (
            json!({"url": good, "auth": {"type": "oauth2_client_credentials", "token_url": "http://10.0.0.1/",
            "client_id": "c", "client_secret": "s"}}),
            "/auth/token_url",
        ),
        (json!({"url": good, "tls": {"ca": "no certificate"}}), "/tls/ca"),
        (
            json!({"url": good, "tls": {"client_certificate": pem}}),
            "/tls/client_key",
        ),
    ] {
        for path in ["/destinations?probe=false", "/destinations", "/destinations/test"] {
            let refused = api.call("POST", path, Some(&named(&spec))).await?.expect(422)?;
            ensure!(refused["errors"][0]["pointer"] == pointer, "{spec}: {refused}");
        }
    }
    let renamed = api
        .call(
            "PATCH",
            &existing,
            Some(&json!({"description": null, "labels": {"a": "b"}})),
        )
        .await?;
    ensure!(
        renamed.status == 200,
        "what can't make it unreachable isn't probed: {}",
        renamed.text
    );
    ensure!(
        receiver.count() == 0,
        "probes are answered with 204 and not recorded"
    );
    Ok(())
}

fn named(spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["name"] = json!(unique("probed"));
    spec
}

pub(crate) async fn event_types_of_one_s_own_are_kept_to(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let name = unique("order").replace('-', "_") + ".paid";
    let schema = json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}}},
        "$defs": {"line": {"type": "object", "properties": {"sku": {"type": "string"}}}}});
    let spec =
        json!({"name": name, "description": "An order was paid", "schema": schema, "sample": {"id": 7}});
    for (wrong, pointer) in [
        (json!({"name": "Order"}), "/name"),
        (json!({"name": "entity.created"}), "/name"),
        (json!({"name": "a", "schema": {"type": "strin"}}), "/schema/type"),
        (
            json!({"name": "a", "schema": {"$ref": "https://example.com/schema"}}),
            "/schema/$ref",
        ),
        (
            json!({"name": "a", "schema": {"required": ["id"]}, "sample": {}}),
            "/sample",
        ),
    ] {
        let refused = api
            .call("POST", "/event-types", Some(&wrong))
            .await?
            .expect(422)?;
        ensure!(refused["errors"][0]["pointer"] == pointer, "{refused}");
    }
    let created = api.create("/event-types", spec.clone()).await?;
    ensure!(
        created["body"]["data"]["id"] == 7 && created["built_in"] == false,
        "{created}"
    );
    let again = api.call("POST", "/event-types", Some(&spec)).await?;
    ensure!(again.status == 409, "{}", again.text);
    let receiver = Receiver::start()?;
    let destination = api
        .create(
            "/destinations",
            json!({"name": unique("orders"), "url": receiver.url(), "events": [name]}),
        )
        .await?;
    let post = async |data: Value| {
        let body = json!({"event_type": name, "data": data});
        api.call("POST", "/events", Some(&body)).await
    };
    let refused = post(json!({"id": "x", "lines": [{"sku": "a"}, {"sku": 5}]}))
        .await?
        .expect(422)?;
    let pointers: BTreeSet<_> = refused["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|e| e["pointer"].to_string())
        .collect();
    ensure!(
        pointers == BTreeSet::from(["\"/data/id\"".into(), "\"/data/lines/1/sku\"".into()]),
        "{refused}"
    );
    api.in_force().await?;
    post(json!({"id": 1})).await?.expect(202)?;
    let arrival = receiver.wait_for(1, SOON).await?.remove(0);
    ensure!(
        arrival.json()["event_type"] == name.as_str() && arrival.json()["data"]["id"] == 1,
        "{arrival:?}"
    );
    let tested = format!("/destinations/{}/test", text(&destination, "/id")?);
    let attempt = api
        .call("POST", &tested, Some(&json!({"event_type": name})))
        .await?
        .expect(200)?;
    ensure!(
        text(&attempt, "/request/body")?.contains(r#""data":{"id":7}"#),
        "{attempt}"
    );
    let path = format!("/event-types/{name}");
    let used = api.call("DELETE", &path, None).await?.expect(409)?;
    ensure!(
        used["users"][0]["id"] == destination["id"] && used["code"] == "in-use",
        "{used}"
    );
    let changed = api
        .call("PATCH", &path, Some(&json!({"schema": null, "name": null})))
        .await?;
    ensure!(changed.status == 422, "a name never changes: {}", changed.text);
    api.call("PATCH", &path, Some(&json!({"schema": null})))
        .await?
        .expect(200)?;
    post(json!({"id": "x"})).await?.expect(202)?;
    let built_in = api
        .call(
            "PATCH",
            "/event-types/entity.created",
            Some(&json!({"description": "x"})),
        )
        .await?;
    ensure!(built_in.status == 409, "{}", built_in.text);
    api.call(
        "DELETE",
        &format!("/destinations/{}", text(&destination, "/id")?),
        None,
    )
    .await?
    .expect(204)?;
    api.call("DELETE", &path, None).await?.expect(204)?;
    ensure!(api.call("GET", &path, None).await?.status == 404);
    Ok(())
}

pub(crate) async fn signatures_verify_while_a_secret_is_rotated(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver, name) = (&stack.api, Receiver::start()?, unique("signed").replace('-', "_"));
    let spec = |path: &str, signing: Value| json!({"name": unique("signed"), "url": format!("{}/{path}", receiver.url()), "events": [name], "signing": signing});
    let ed25519 = json!({"type": "standard_webhooks", "algorithm": "ed25519"});
    let ed25519 = api.create("/destinations", spec("ed25519", ed25519)).await?;
    ensure!(
        text(&ed25519, "/signing/secrets/0/secret")?.starts_with("whsk_"),
        "{ed25519}"
    );
    let plain = json!({"type": "hmac", "header": "X-Hub-Signature-256", "prefix": "sha256=", "secrets": ["first"],
        "multiple": true});
    let plain = api.create("/destinations", spec("hmac", plain)).await?;
    let add = |destination: &Value, secret: Value| {
        let path = format!(
            "/destinations/{}/secrets",
            destination["id"].as_str().unwrap_or_default()
        );
        async move { api.create(&path, secret).await }
    };
    let made = add(&ed25519, json!({})).await?;
    ensure!(
        text(&made, "/secret")?.starts_with("whsk_") && !made.to_string().contains("whpk_"),
        "{made}"
    );
    add(&plain, json!({"secret": "second"})).await?;
    let wrong = add(
        &ed25519,
        json!({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}),
    )
    .await;
    ensure!(wrong.is_err_and(|error| format!("{error:?}").contains("/secret")));
    let read = api
        .get(&format!("/destinations/{}", text(&ed25519, "/id")?))
        .await?;
    ensure!(!read.to_string().contains("whsk_"), "{read}");
    let keys = read["signing"]["public_keys"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    api.in_force().await?;
    api.call("POST", "/events", Some(&json!({"event_type": name, "data": {}})))
        .await?
        .expect(202)?;
    let arrivals = receiver.wait_for(2, SOON).await?;
    let of = |path: &str| {
        arrivals
            .iter()
            .find(|arrival| arrival.path == path)
            .context("no arrival")
    };
    let arrival = of("/ed25519")?;
    let signed = format!(
        "{}.{}.{}",
        arrival.header("webhook-id"),
        arrival.header("webhook-timestamp"),
        arrival.text()
    );
    let signatures: Vec<&str> = arrival.header("webhook-signature").split(' ').collect();
    ensure!(
        keys.len() == 2 && signatures.len() == 2,
        "{keys:?} {signatures:?}"
    );
    for (key, signature) in keys.iter().zip(signatures) {
        let key = BASE64.decode(
            key.as_str()
                .and_then(|key| key.strip_prefix("whpk_"))
                .context("a public key")?,
        )?;
        let signature = BASE64.decode(
            signature
                .strip_prefix("v1a,")
                .context("an asymmetric signature")?,
        )?;
        let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key);
        ensure!(key.verify(signed.as_bytes(), &signature).is_ok(), "{arrival:?}");
    }
    let arrival = of("/hmac")?;
    let tag = |secret: &str| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        format!(
            "sha256={}",
            data_encoding::HEXLOWER.encode(ring::hmac::sign(&key, &arrival.body).as_ref())
        )
    };
    let expected = format!("{} {}", tag("second"), tag("first"));
    ensure!(arrival.header("x-hub-signature-256") == expected, "{arrival:?}");
    Ok(())
}
