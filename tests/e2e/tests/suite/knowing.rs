//! Who may send, and how much: as an owner defines it, and as a sender meets it.

use std::sync::Arc;

use anyhow::ensure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookrail_harness::{Stack, eventually};
use serde_json::{Value, json};

use crate::fixtures::{SOON, source, source_at_once, unique};

/// Sends with this `Authorization` and gives the status.
async fn status(stack: &Stack, path: &str, shown: &str) -> anyhow::Result<u16> {
    let headers = [("authorization", shown), ("content-type", "application/json")];
    Ok(stack.api.send(path, &headers, "{}").await?.status)
}

pub(crate) async fn passwords_and_tokens_let_in_and_are_never_shown(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let secret = "a-secret-that-nobody-may-read";
    let basic = json!({"auth": {"type": "basic", "username": "erp", "password": secret}});
    let basic = source_at_once(api, basic).await?;
    let bearer = source_at_once(api, json!({"auth": {"type": "bearer", "token": secret}})).await?;
    let jwt = json!({"auth": {"type": "jwt", "secret": secret, "issuer": "erp"}});
    let jwt = source(api, jwt).await?;
    for of in [&basic, &bearer, &jwt] {
        let shown = api.get(&format!("/sources/{}", of.id)).await?;
        ensure!(!shown.to_string().contains(secret), "a secret is shown: {shown}");
    }
    let pair = STANDARD.encode(format!("erp:{secret}"));
    ensure!(status(&stack, &basic.path, &format!("Basic {pair}")).await? == 202);
    ensure!(status(&stack, &basic.path, "Basic ZXJwOng=").await? == 401);
    ensure!(status(&stack, &bearer.path, &format!("Bearer {secret}")).await? == 202);
    ensure!(status(&stack, &bearer.path, "Bearer x").await? == 401);
    ensure!(status(&stack, &jwt.path, "Bearer a.b.c").await? == 401);

    // The owner learns what failed, the sender does not.
    let rejections = format!("/sources/{}/rejections", jwt.id);
    let told = || async {
        let found = api.get(&rejections).await.ok()?;
        let detail = found.pointer("/items/0/detail")?.as_str()?.to_owned();
        (!found.to_string().contains("a.b.c")).then_some(detail)
    };
    let detail = eventually("the rejection is listed", SOON, told).await?;
    ensure!(detail.contains("not a signed JSON Web Token"), "{detail}");
    Ok(())
}

pub(crate) async fn ways_to_authenticate_that_can_not_be_meant_are_refused_by_field(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let cases: [(Value, &str); 5] = [
        (json!({"auth": {"type": "jwt"}}), "/auth"),
        (
            json!({"auth": {"type": "jwt", "jwks_url": "keys"}}),
            "/auth/jwks_url",
        ),
        (
            json!({"auth": {"type": "jwt", "public_key": "none"}}),
            "/auth/public_key",
        ),
        (
            json!({"auth": {"type": "basic", "username": "a:b", "password": "p"}}),
            "/auth/username",
        ),
        (
            json!({"rate_limit": {"per_second": 0, "burst": 1}}),
            "/rate_limit/per_second",
        ),
    ];
    for (mut spec, pointer) in cases {
        spec["name"] = json!(unique("source"));
        let answer = stack.api.call("POST", "/sources", Some(&spec)).await?;
        let refused = answer.expect(422)?;
        ensure!(refused["errors"][0]["pointer"] == pointer, "{spec}: {refused}");
    }
    Ok(())
}

pub(crate) async fn addresses_and_rates_are_kept_to(stack: Arc<Stack>) -> anyhow::Result<()> {
    let api = &stack.api;
    let elsewhere = source_at_once(api, json!({"allow_ips": ["192.0.2.0/24"]})).await?;
    let slow = json!({"rate_limit": {"per_second": 0.01, "burst": 2}, "allow_ips": ["127.0.0.0/8"]});
    let slow = source(api, slow).await?;
    let refused = api.send_json(&elsewhere.path, "{}").await?;
    ensure!(refused.status == 403 && refused.json()["code"] == "address-refused");
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(api.send_json(&slow.path, "{}").await?.status);
    }
    ensure!(statuses == [202, 202, 429], "{statuses:?}");
    Ok(())
}
