//! Webhooks as real senders send them: from the request to a receiver that verifies the signature.

use std::sync::Arc;

use anyhow::ensure;
use hookrail_harness::{Receiver, Stack, verify_standard_webhook};
use serde_json::{Value, json};

use crate::fixtures::{SECRET, SOON, accepted, destination, entity, route, settled_event, source, unique};

/// A push to a repository, in the shape of GitHub's.
const PUSH: &str = r#"{"ref":"refs/heads/main","before":"6113728f27ae82c7b1a177c8d03f9e96e0adf246",
"after":"59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5","repository":{"id":118,"full_name":"acme/orders",
"private":false},"pusher":{"name":"mona"},"commits":[{"id":"59b20b8d","message":"Sell more","added":["a.txt"]}]}"#;

/// A post to a channel, in the shape of Mattermost's outgoing webhooks.
const POST: &str = r#"{"token":"xr3j5x3p4pfk7kk6ck7b4e6ghh","team_id":"rdc9bgriktyx9p4kowh3dmgqyc","team_domain":"acme",
"channel_id":"jsbmc5zqxjdmz8b1gj3ifrtgxr","channel_name":"town-square","timestamp":1763800000000,
"user_id":"km9cwa","user_name":"mona","post_id":"zoyfkq8s7tr47pp3hmx4ipzqgo","text":"who is there? ☕","trigger_word":"who"}"#;

/// An order, in the shape of Shopify's, with ids beyond what a double can hold.
const ORDER: &str = r#"{"id":820982911946154508,"admin_graphql_api_id":"gid://shopify/Order/820982911946154508",
"email":"jon@example.com","total_price":"403.00","weight":1.10,"line_items":[{"id":866550311766439020,"price":"199.00"}],
"checksum":12345678901234567890123456789}"#;

pub(crate) async fn a_github_push_reaches_a_receiver_that_verifies_it(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, Receiver::start()?);
    let kind = unique("repository");
    let spec = json!({"entity": {"type": kind, "path": "$.repository", "unique_id": "$.id", "title": "$.full_name"}});
    let source = source(api, spec).await?;
    let signing = json!({"type": "standard_webhooks", "secrets": [SECRET]});
    let destination = destination(api, &receiver, json!({"ordering": "key", "signing": signing})).await?;
    route(api, &source, &destination, &["entity.created", "entity.updated"]).await?;

    let event = accepted(api, &source, PUSH).await?;
    let arrival = receiver.wait_for(1, SOON).await?.remove(0);
    verify_standard_webhook(SECRET, &arrival)?;
    let mut tampered = arrival.clone();
    tampered.body.push(b' ');
    ensure!(
        verify_standard_webhook(SECRET, &tampered).is_err(),
        "the library accepts anything"
    );

    let body = arrival.json();
    let members: Vec<&String> = body.as_object().expect("an object").keys().collect();
    ensure!(
        members == ["event_time", "event_type", "current_context", "data"],
        "members {members:?}"
    );
    ensure!(
        body["event_type"] == "entity.created" && body["data"]["full_name"] == "acme/orders",
        "{body}"
    );
    let context = &body["current_context"];
    ensure!(
        context["event_id"] == event.as_str() && context["entity"]["unique_id"] == "118",
        "{context}"
    );
    ensure!(
        entity(api, &kind, "118").await?["title"] == "acme/orders",
        "the entity's title"
    );
    Ok(())
}

pub(crate) async fn a_mattermost_post_becomes_an_entity(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, Receiver::start()?);
    let kind = unique("post");
    let spec = json!({"entity": {"type": kind, "unique_id": "$.post_id", "title": "$.text", "fields": {"by": "$.user_name"}}});
    let source = source(api, spec).await?;
    let destination = destination(
        api,
        &receiver,
        json!({"signing": {"type": "standard_webhooks", "secrets": [SECRET]}}),
    )
    .await?;
    route(api, &source, &destination, &["entity.created"]).await?;

    accepted(api, &source, POST).await?;
    let arrival = receiver.wait_for(1, SOON).await?.remove(0);
    verify_standard_webhook(SECRET, &arrival)?;
    ensure!(
        arrival.json()["data"] == serde_json::from_str::<Value>(POST)?,
        "{}",
        arrival.text()
    );
    let stored = entity(api, &kind, "zoyfkq8s7tr47pp3hmx4ipzqgo").await?;
    ensure!(
        stored["title"] == "who is there? ☕" && stored["fields"]["by"] == "mona",
        "{stored}"
    );
    Ok(())
}

pub(crate) async fn a_shopify_order_keeps_every_digit(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, Receiver::start()?);
    let kind = unique("order");
    let source = source(
        api,
        json!({"entity": {"type": kind, "unique_id": "$.id", "title": "$.email"}}),
    )
    .await?;
    let destination = destination(
        api,
        &receiver,
        json!({"signing": {"type": "standard_webhooks", "secrets": [SECRET]}}),
    )
    .await?;
    route(api, &source, &destination, &["entity.created"]).await?;

    let event = accepted(api, &source, ORDER).await?;
    let arrival = receiver.wait_for(1, SOON).await?.remove(0);
    verify_standard_webhook(SECRET, &arrival)?;
    let sent = arrival.text();
    let unchanged = ORDER.replace('\n', "");
    ensure!(
        sent.ends_with(&format!(r#""data":{unchanged}}}"#)),
        "the order has changed: {sent}"
    );
    settled_event(api, &event).await?;
    let stored = api
        .call("GET", &format!("/entities/{kind}/820982911946154508"), None)
        .await?;
    let shown = api.call("GET", &format!("/events/{event}"), None).await?;
    for number in [
        "820982911946154508",
        "866550311766439020",
        "12345678901234567890123456789",
        ":1.10,",
    ] {
        for (place, text) in [
            ("request sent", &arrival.text()),
            ("entity", &stored.text),
            ("event", &shown.text),
        ] {
            let found = text.replace(": ", ":").contains(number);
            ensure!(found, "{number} is not in the {place}: {text}");
        }
    }
    Ok(())
}

pub(crate) async fn an_array_of_objects_becomes_as_many_entities(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, Receiver::start()?);
    let kind = unique("item");
    let source = source(
        api,
        json!({"entity": {"type": kind, "unique_id": "$.sku", "title": "$.name"}}),
    )
    .await?;
    let destination = destination(api, &receiver, json!({})).await?;
    route(api, &source, &destination, &["entity.created"]).await?;
    let body = r#"[{"sku":"a","name":"Anvil"},{"sku":"b","name":"Bolt"},{"sku":3,"name":"Cog"}]"#;
    accepted(api, &source, body).await?;
    let arrivals = receiver.wait_for(3, SOON).await?;
    let mut names: Vec<String> = arrivals
        .iter()
        .map(|a| a.json()["data"]["name"].to_string())
        .collect();
    names.sort();
    ensure!(names == ["\"Anvil\"", "\"Bolt\"", "\"Cog\""], "{names:?}");
    for id in ["a", "b", "3"] {
        entity(api, &kind, id).await?;
    }
    let listed = api.get(&format!("/entities?type={kind}")).await?;
    ensure!(listed["items"].as_array().map(Vec::len) == Some(3), "{listed}");
    Ok(())
}

/// A contact that subscribed, in the shape of Mailchimp's forms.
const SUBSCRIPTION: &str = "type=subscribe&fired_at=2026-11-20+10%3A15%3A00&data%5Bid%5D=8a25ff1d98\
    &data%5Bemail%5D=ann%40example.com&data%5Bmerges%5D%5BEMAIL%5D=ann%40example.com&data%5Bmerges%5D%5BFNAME%5D=Ann\
    &data%5Bmerges%5D%5BINTERESTS%5D=Group1%2CGroup2&data%5Btags%5D%5B%5D=new&data%5Btags%5D%5B%5D=vip&data%5Blist_id%5D=a6b5da1054";

pub(crate) async fn a_form_with_nested_names_becomes_an_entity(stack: Arc<Stack>) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, Receiver::start()?);
    let kind = unique("contact");
    let spec = json!({
        "filter": {"path": "$.type", "op": "in", "value": ["subscribe", "profile"]},
        "entity": {"type": kind, "path": "$.data", "unique_id": "$.id", "title": "$.merges.EMAIL",
            "fields": {"name": "$.merges.FNAME", "tags": "$.tags"}}
    });
    let source = source(api, spec).await?;
    let destination = destination(api, &receiver, json!({})).await?;
    route(api, &source, &destination, &["entity.created"]).await?;
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    api.send(&source.path, &headers, SUBSCRIPTION)
        .await?
        .expect(202)?;
    let data = receiver.wait_for(1, SOON).await?.remove(0).json()["data"].clone();
    let wanted = json!({
        "id": "8a25ff1d98", "email": "ann@example.com",
        "merges": {"EMAIL": "ann@example.com", "FNAME": "Ann", "INTERESTS": "Group1,Group2"},
        "tags": ["new", "vip"], "list_id": "a6b5da1054"
    });
    ensure!(data == wanted, "{data}");
    let stored = entity(api, &kind, "8a25ff1d98").await?;
    ensure!(
        stored["title"] == "ann@example.com"
            && stored["fields"] == json!({"name": "Ann", "tags": ["new", "vip"]}),
        "{stored}"
    );
    Ok(())
}

/// An outbound message in the shape of Salesforce's, with a byte order mark as theirs have.
fn outbound_message(records: u32) -> String {
    let notification = |number: u32| {
        format!(
            r#"<Notification><Id>04l{number:03}</Id><sObject xsi:type="sf:Account" xmlns:sf="urn:sobject.enterprise.soap.sforce.com"><sf:Id>001{number:03}</sf:Id><sf:Name>Müller &amp; Söhne {number}</sf:Name><sf:AnnualRevenue>1.10</sf:AnnualRevenue></sObject></Notification>"#
        )
    };
    let notifications: String = (0..records).map(notification).collect();
    format!(
        "\u{feff}{}{}{notifications}</notifications></soapenv:Body></soapenv:Envelope>",
        r#"<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>"#,
        r#"<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>00D0</OrganizationId>"#
    )
}

pub(crate) async fn one_and_two_hundred_notifications_of_a_soap_message_become_entities(
    stack: Arc<Stack>,
) -> anyhow::Result<()> {
    let (api, receiver) = (&stack.api, Receiver::start()?);
    let kind = unique("account");
    let below = "$['soapenv:Envelope']['soapenv:Body'].notifications";
    let spec = json!({
        "force_list": ["Notification"],
        "filter": {"path": format!("{below}.Notification[*].sObject['@xsi:type']"), "op": "eq", "value": "sf:Account"},
        "entity": {"type": kind, "path": format!("{below}.Notification[*].sObject"), "unique_id": "$['sf:Id']",
            "title": "$['sf:Name']", "fields": {"revenue": "$['sf:AnnualRevenue']"}}
    });
    let source = source(api, spec).await?;
    let destination = destination(api, &receiver, json!({"ordering": "key"})).await?;
    route(api, &source, &destination, &["entity.created", "entity.updated"]).await?;
    let headers = [("content-type", "text/xml; charset=utf-8")];
    api.send(&source.path, &headers, outbound_message(1))
        .await?
        .expect(202)?;
    let first = receiver.wait_for(1, SOON).await?.remove(0).json();
    let wanted = json!({
        "@xsi:type": "sf:Account", "sf:Id": "001000", "sf:Name": "Müller & Söhne 0", "sf:AnnualRevenue": "1.10"
    });
    ensure!(first["data"] == wanted, "{first}");
    // The first of the two hundred is known, and unchanged.
    api.send(&source.path, &headers, outbound_message(200))
        .await?
        .expect(202)?;
    let arrivals = receiver.wait_for(200, SOON).await?;
    let mut ids: Vec<String> = arrivals
        .iter()
        .map(|arrival| {
            arrival.json()["data"]["sf:Id"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    ids.sort();
    let expected: Vec<String> = (0..200).map(|number| format!("001{number:03}")).collect();
    ensure!(ids == expected, "{ids:?}");
    let stored = entity(api, &kind, "001199").await?;
    ensure!(
        stored["title"] == "Müller & Söhne 199" && stored["fields"]["revenue"] == "1.10",
        "{stored}"
    );
    Ok(())
}
