//! A broker that is gone, and one that is full: honest answers, and going on afterwards.

use std::collections::BTreeSet;

use hookrail_harness::eventually;

use crate::gateway::{Gateway, spec};

#[tokio::test(flavor = "multi_thread")]
async fn without_the_broker_nothing_is_accepted_and_with_it_all_goes_on() {
    let mut gateway = Gateway::start(vec![spec("orders")]).await;
    assert_eq!(
        gateway.send("POST", "/default/orders", &[], b"{}").await.status,
        202
    );
    gateway.nats.kill();
    let answer = gateway.send("POST", "/default/orders", &[], b"{}").await;
    assert_eq!((answer.status, answer.code()), (503, "unknown".to_owned()));
    assert!(answer.header("retry-after").is_some());
    gateway.until_ready(false).await;
    gateway.nats.start_again().await.unwrap();
    gateway.until_ready(true).await;
    assert_eq!(
        gateway.send("POST", "/default/orders", &[], b"{}").await.status,
        202
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nearly_full_log_refuses_and_says_that_nothing_was_stored() {
    let gateway = Gateway::start(vec![spec("orders")]).await;
    let body = vec![b'x'; 500_000];
    // Four partitions of 4 MiB: 40 bodies are more than all of them hold.
    let mut refused = None;
    for _ in 0..40 {
        let answer = gateway.send("POST", "/default/orders", &[], &body).await;
        if answer.status != 202 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("the log is full at some time");
    assert_eq!((refused.status, refused.code()), (503, "refused".to_owned()));
    assert!(refused.header("retry-after").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_holds_as_much_as_it_may_takes_no_more_while_others_do() {
    let gateway = Gateway::start(vec![spec("orders"), spec("customers")]).await;
    let full = gateway.source("orders").id;
    let answers = async |name: &str, status: u16| {
        eventually("the answer", 20, || async {
            let answer = gateway
                .send("POST", &format!("/default/{name}"), &[], b"{}")
                .await;
            (answer.status == status).then_some(answer)
        })
        .await
        .unwrap()
    };
    gateway
        .broker
        .set_full_sources(&BTreeSet::from([full]))
        .await
        .unwrap();
    let refused = answers("orders", 503).await;
    assert_eq!(refused.code(), "held-full");
    assert!(refused.header("retry-after").is_some());
    answers("customers", 202).await;
    gateway.broker.set_full_sources(&BTreeSet::new()).await.unwrap();
    answers("orders", 202).await;
}
