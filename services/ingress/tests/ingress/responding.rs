//! Callers that wait: for answers that come, come late, or not at all. What processor and dispatcher do is
//! done here by hand: they answer an event through the broker.

use std::net::SocketAddr;

use hookrail_broker::{Responder, codec};
use hookrail_domain::event::Event;
use hookrail_domain::respond::ResponseOutcome;
use hookrail_domain::source::{RequestResponse, SourceSpec};
use hookrail_harness::eventually;
use hookrail_runtime::clock;
use tokio::task::JoinHandle;

use crate::connection::{Answer, Connection};
use crate::gateway::{Gateway, spec};

const JSON: (&str, &str) = ("content-type", "application/json");
/// How long something may take that does not wait for a time-out, seconds.
const SOON_S: u64 = 10;

fn waiting_spec(timeout_ms: u32) -> SourceSpec {
    let request_response = RequestResponse {
        enabled: true,
        timeout_ms,
        ..RequestResponse::default()
    };
    SourceSpec {
        request_response,
        ..spec("ask")
    }
}

/// A caller's request, under way.
fn call(
    address: SocketAddr,
    headers: &[(&'static str, &'static str)],
    body: &'static [u8],
) -> JoinHandle<Answer> {
    let mut headers = headers.to_vec();
    headers.push(JSON);
    tokio::spawn(async move {
        let mut connection = Connection::open(address).await;
        connection.send("POST", "/default/ask", &headers, body).await
    })
}

/// The `number`th event that was stored, of all partitions.
async fn event(gateway: &Gateway, number: usize) -> Event {
    let look = || async {
        let mut found = Vec::new();
        for partition in 0..gateway.partitions() {
            let mut sequence = 1;
            while let Ok(Some(message)) = gateway.broker.raw_get(partition, sequence).await {
                found.push((
                    message.timestamp_ms,
                    codec::decode_event(&message.payload).unwrap(),
                ));
                sequence += 1;
            }
        }
        found.sort_by_key(|(at, event)| (*at, event.id));
        found.into_iter().nth(number).map(|(_, event)| event)
    };
    eventually("an event", SOON_S, look).await.unwrap()
}

async fn answer(gateway: &Gateway, event: &Event, status: u16, body: &str) {
    let outcome = ResponseOutcome::Answered {
        status,
        headers: vec![("content-type".to_owned(), "text/x-own".to_owned())],
        body: body.as_bytes().to_vec(),
    };
    let responder = Responder::new(&gateway.broker, clock::now_ms);
    let reply = event.reply.as_ref().unwrap();
    responder.answer(reply, event.id, outcome).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_gets_the_answer_as_it_was_given_and_each_its_own() {
    let gateway = Gateway::start(vec![waiting_spec(20_000)]).await;
    let first = call(gateway.address(), &[], b"{\"n\":1}");
    let of_first = event(&gateway, 0).await;
    let second = call(gateway.address(), &[], b"{\"n\":2}");
    let of_second = event(&gateway, 1).await;
    answer(&gateway, &of_second, 404, "second").await;
    answer(&gateway, &of_first, 200, "first").await;
    for (caller, event, status, body) in [
        (second, of_second, 404, "second"),
        (first, of_first, 200, "first"),
    ] {
        let found = caller.await.unwrap();
        assert_eq!((found.status, &found.body[..]), (status, body.as_bytes()));
        assert_eq!(found.header("content-type"), Some("text/x-own"));
        assert_eq!(
            found.header("hookrail-event-id"),
            Some(event.id.to_string().as_str())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waited_long_enough_is_told_where_the_answer_will_be() {
    let gateway = Gateway::start(vec![waiting_spec(20_000)]).await;
    let cases: [(&[_], u16, Option<&str>); 3] = [
        (&[("prefer", "wait=1")], 504, Some("wait=1")),
        (&[("prefer", "respond-async")], 202, Some("respond-async")),
        (
            &[("prefer", "wait=1, respond-async")],
            202,
            Some("respond-async, wait=1"),
        ),
    ];
    for (number, (headers, status, applied)) in cases.into_iter().enumerate() {
        let found = call(gateway.address(), headers, b"{}").await.unwrap();
        let event = event(&gateway, number).await;
        assert_eq!(found.status, status, "{headers:?}");
        assert_eq!(found.header("preference-applied"), applied, "{headers:?}");
        assert_eq!(found.event_id(), event.id.to_string());
        let location = found.header("location").unwrap().to_owned();
        let later = gateway.send("GET", &location, &[], b"").await;
        assert_eq!((later.status, later.event_id()), (202, event.id.to_string()));
        answer(&gateway, &event, 409, "late").await;
        // Any ingress has it, as often as it is asked.
        for address in [gateway.address(), gateway.another_ingress().await] {
            let later = Connection::open(address)
                .await
                .send("GET", &location, &[], b"")
                .await;
            assert_eq!((later.status, &later.body[..]), (409, &b"late"[..]));
        }
        assert_eq!(gateway.send("POST", &location, &[], b"").await.status, 405);
    }
    for unknown in [
        "/r/",
        "/r/x",
        "/r/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        assert_eq!(
            gateway.send("GET", unknown, &[], b"").await.status,
            404,
            "{unknown}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_with_the_same_key_has_the_same_answer_on_any_ingress() {
    let gateway = Gateway::start(vec![waiting_spec(20_000)]).await;
    let (here, there) = (gateway.address(), gateway.another_ingress().await);
    let key = [("idempotency-key", "k1")];
    let first = call(here, &key, b"{\"n\":1}");
    let asked = event(&gateway, 0).await;
    // While the first still runs: on the other ingress, and on the same one.
    let (second, third) = (call(there, &key, b"{\"n\":1}"), call(here, &key, b"{\"n\":1}"));
    assert_eq!(
        call(there, &key, b"{\"n\":2}").await.unwrap().code(),
        "idempotency-key-reused"
    );
    let waiting = || async { gateway.metrics().contains("ingress_waiting 2").then_some(()) };
    eventually("two wait here", SOON_S, waiting).await.unwrap();
    answer(&gateway, &asked, 201, "once").await;
    for caller in [
        first,
        second,
        third,
        call(here, &key, b"{\"n\":1}"),
        call(there, &key, b"{\"n\":1}"),
    ] {
        let found = caller.await.unwrap();
        assert_eq!((found.status, &found.body[..]), (201, &b"once"[..]));
    }
    assert_eq!(call(here, &key, b"{\"n\":2}").await.unwrap().status, 422);
    assert_eq!(gateway.events().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_of_one_that_was_told_to_come_again_waits_for_the_same_answer() {
    let gateway = Gateway::start(vec![waiting_spec(20_000)]).await;
    let there = gateway.another_ingress().await;
    let at_once = [("idempotency-key", "k2"), ("prefer", "respond-async")];
    assert_eq!(
        call(gateway.address(), &at_once, b"{}").await.unwrap().status,
        202
    );
    let asked = event(&gateway, 0).await;
    let key = [("idempotency-key", "k2")];
    assert_eq!(call(there, &key, b"[]").await.unwrap().status, 422);
    let again = call(there, &key, b"{}");
    let answered = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        answer(&gateway, &asked, 200, "done").await;
    };
    let (found, ()) = tokio::join!(again, answered);
    let found = found.unwrap();
    assert_eq!((found.status, &found.body[..]), (200, &b"done"[..]));
    assert_eq!(gateway.events().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_in_vain_or_for_who_has_gone_or_when_the_process_stops() {
    let gateway = Gateway::start(vec![waiting_spec(20_000)]).await;
    // Its lane waits longer than it does.
    let in_vain = call(gateway.address(), &[], b"{}");
    let asked = event(&gateway, 0).await;
    let responder = Responder::new(&gateway.broker, clock::now_ms);
    responder
        .tell_in_vain(asked.reply.as_ref().unwrap(), asked.id)
        .await;
    let found = in_vain.await.unwrap();
    assert_eq!((found.status, found.code()), (504, "deadline".to_owned()));
    assert!(found.header("location").is_some());
    // It hangs up.
    let gone = call(gateway.address(), &[], b"{}");
    let waiting = |number: u32| {
        let (text, gateway) = (format!("ingress_waiting {number}\n"), &gateway);
        async move {
            let seen = || async { gateway.metrics().contains(&text).then_some(()) };
            eventually(&text, SOON_S, seen).await.unwrap();
        }
    };
    waiting(1).await;
    gone.abort();
    waiting(0).await;
    // The process is told to stop.
    let last = call(gateway.address(), &[], b"{}");
    waiting(1).await;
    gateway.stop();
    let found = last.await.unwrap();
    assert_eq!((found.status, found.header("location").is_some()), (504, true));
}
