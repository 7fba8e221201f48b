//! Answers to waiting callers: stored, told, looked up, noted as still to come.

use std::time::Duration;

use hookrail_broker::{Answered, Broker, Noted, Responder, ResponseWatch, Told};
use hookrail_domain::delivery::{ErrorCode, Failure};
use hookrail_domain::event::Reply;
use hookrail_domain::ids::EventId;
use hookrail_domain::respond::{Response, ResponseOutcome};

use crate::nats::Nats;

const EVENT: EventId = EventId::from_u128(7);

fn reply(instance: &str, request: &str) -> Reply {
    Reply {
        instance: instance.to_owned(),
        request: request.to_owned(),
        deadline: 1_000,
        waits_until: 1_000,
        drop_late: false,
        body_hash: Some("h".to_owned()),
    }
}

fn answered(status: u16, body: impl Into<Vec<u8>>) -> ResponseOutcome {
    ResponseOutcome::Answered {
        status,
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: body.into(),
    }
}

fn pending() -> Response {
    Response {
        event: EVENT,
        at: 5,
        body_hash: Some("h".to_owned()),
        outcome: None,
    }
}

async fn told(watch: &mut ResponseWatch) -> Told {
    let told = tokio::time::timeout(Duration::from_secs(10), watch.next()).await;
    told.unwrap().unwrap()
}

async fn outcome(broker: &Broker, request: &str) -> Option<ResponseOutcome> {
    broker.response(request).await.unwrap().unwrap().outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_told_to_its_instance_and_to_whoever_waits_for_the_request_and_is_kept() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let responder = Responder::new(&broker, || 10);
    let mut of_instance = broker.watch_instance("i1").await.unwrap();
    let mut of_request = broker.watch_request("r1").await.unwrap();
    assert_eq!(broker.response("r1").await.unwrap(), None);
    let kept = responder
        .answer(&reply("i2", "other"), EVENT, answered(200, "no"))
        .await;
    assert_eq!(kept, Ok(Answered::Kept));
    let kept = responder
        .answer(&reply("i1", "r1"), EVENT, answered(404, "yes"))
        .await;
    assert_eq!(kept, Ok(Answered::Kept));
    for watch in [&mut of_instance, &mut of_request] {
        let told = told(watch).await;
        assert_eq!((told.request.as_str(), told.response.event), ("r1", EVENT));
        assert_eq!(told.response.outcome, Some(answered(404, "yes")));
    }
    assert_eq!(outcome(&broker, "r1").await, Some(answered(404, "yes")));
    // A second answer to the same event is another attempt's: the first is the one that counts.
    let again = responder
        .answer(&reply("i1", "r1"), EVENT, answered(500, "again"))
        .await;
    assert_eq!(again, Ok(Answered::Kept));
    assert_eq!(outcome(&broker, "r1").await, Some(answered(404, "yes")));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_noted_once_that_an_answer_is_to_come_and_never_over_the_answer() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let (responder, publisher) = (Responder::new(&broker, || 10), broker.publisher());
    let first = reply("i1", "r1");
    assert_eq!(publisher.note_pending(&first, pending()).await, Ok(Noted::Yes));
    assert_eq!(publisher.note_pending(&first, pending()).await, Ok(Noted::Before));
    assert_eq!(broker.response("r1").await.unwrap(), Some(pending()));
    responder
        .answer(&first, EVENT, ResponseOutcome::Filtered)
        .await
        .unwrap();
    assert_eq!(outcome(&broker, "r1").await, Some(ResponseOutcome::Filtered));
    let second = reply("i1", "r2");
    responder
        .answer(&second, EVENT, ResponseOutcome::NoRoute)
        .await
        .unwrap();
    assert_eq!(
        publisher.note_pending(&second, pending()).await,
        Ok(Noted::Before)
    );
    assert_eq!(outcome(&broker, "r2").await, Some(ResponseOutcome::NoRoute));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_stored_is_told_to_who_still_waits() {
    let nats = Nats::start();
    let mut settings = nats.settings();
    settings.limits.response_max_bytes = 2 * 1024 * 1024;
    let broker = Broker::connect(&settings, "test").await.unwrap();
    broker.ensure_topology().await.unwrap();
    // The deadline is over, so that nobody has to wait for room.
    let responder = Responder::new(&broker, || 1_000);
    let mut watch = broker.watch_instance("i").await.unwrap();
    let body = vec![b'x'; 700_000];
    let mut refused = None;
    for number in 0..5 {
        let reply = reply("i", &format!("r{number}"));
        let stored = responder.answer(&reply, EVENT, answered(200, body.clone())).await;
        assert_eq!(
            told(&mut watch).await.response.outcome,
            Some(answered(200, body.clone()))
        );
        if stored == Ok(Answered::ToldOnly) {
            refused = Some(reply.request);
            break;
        }
    }
    let refused = refused.expect("five of them are more than the stream holds");
    assert_eq!(broker.response(&refused).await.unwrap(), None);
    assert!(broker.responses_state().await.unwrap().percent() > 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_fits_no_message_is_told_to_be_too_large() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let responder = Responder::new(&broker, || 10);
    let reply = reply("i", "r");
    let large = answered(200, vec![0; 3 * 1024 * 1024]);
    assert_eq!(responder.answer(&reply, EVENT, large).await, Ok(Answered::Kept));
    let limit = responder.body_limit() as u64;
    assert_eq!(
        outcome(&broker, "r").await,
        Some(ResponseOutcome::TooLarge { limit })
    );
    let failure = Failure {
        code: ErrorCode::Connect,
        detail: "nobody listens".to_owned(),
    };
    let undelivered = ResponseOutcome::Undelivered(failure);
    let other = Reply {
        request: "r2".to_owned(),
        ..reply
    };
    responder
        .answer(&other, EVENT, undelivered.clone())
        .await
        .unwrap();
    assert_eq!(outcome(&broker, "r2").await, Some(undelivered));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ingresses_have_the_same_key_for_late_answers() {
    let nats = Nats::start();
    let broker = nats.broker().await;
    let (first, second) = tokio::join!(
        broker.late_key([1; 32], [1; 24]),
        broker.late_key([2; 32], [2; 24])
    );
    let third = broker.late_key([3; 32], [3; 24]).await.unwrap();
    let request = "a".repeat(32);
    let token = third.token(&request);
    assert_eq!(first.unwrap().token(&request), token);
    assert_eq!(second.unwrap().token(&request), token);
}
