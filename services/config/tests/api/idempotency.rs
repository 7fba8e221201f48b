//! `Idempotency-Key`.

use crate::client::Answer;
use crate::fixture::{Fixture, each_database};
use crate::receiver::Receiver;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_creation_happens_once_and_repeats_no_secret() {
    each_database(async |fixture: Fixture| {
        let client = &fixture.client;
        let ask = async |path: &str, key: &str, body: &str| -> Answer {
            client
                .ask(
                    "POST",
                    path,
                    &[("content-type", "application/json"), ("idempotency-key", key)],
                    body,
                )
                .await
        };
        let first = ask("/sources", "k1", r#"{"name": "once"}"#).await;
        let again = ask("/sources", "k1", r#"{"name": "once"}"#).await;
        assert_eq!(
            (first.id(), first.header("idempotency-replayed")),
            (again.id(), None)
        );
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.header("location"), first.header("location"));
        assert_eq!(again.header("etag"), first.header("etag"));
        ask("/sources", "k1", r#"{"name": "other"}"#)
            .await
            .is_problem(422, "idempotency-key-reused");
        ask("/sources", &"k".repeat(256), "{}")
            .await
            .is_invalid_at("invalid", "/name");
        ask("/sources", &"k".repeat(256), r#"{"name": "x"}"#)
            .await
            .is_problem(422, "invalid-parameter");

        let token = ask("/tokens", "k1", r#"{"label": "ci", "role": "viewer"}"#).await;
        assert!(
            token.json()["token"].is_string(),
            "another path is another request"
        );
        assert!(
            ask("/tokens", "k1", r#"{"label": "ci", "role": "viewer"}"#)
                .await
                .json()
                .get("token")
                .is_none()
        );

        let receiver = Receiver::answering(500);
        let body = format!(r#"{{"name": "d", "url": "{}"}}"#, receiver.url);
        ask("/destinations", "k2", &body)
            .await
            .is_problem(422, "probe-failed");
        ask("/destinations", "k2", &body)
            .await
            .is_problem(422, "probe-failed");
        assert_eq!(receiver.take_all().len(), 2, "what made nothing is tried again");
        let made = ask("/destinations?probe=false", "k2", &body).await;
        assert!(made.json()["signing"]["secrets"][0]["secret"].is_string());
        let repeated = ask("/destinations?probe=false", "k2", &body).await;
        assert_eq!(repeated.id(), made.id());
        assert!(repeated.json()["signing"]["secrets"][0].get("secret").is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repetition_while_the_first_still_runs_is_refused() {
    each_database(async |fixture: Fixture| {
        let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", hanging.local_addr().unwrap());
        let body = format!(r#"{{"name": "slow", "url": "{url}", "timeout_ms": 60000}}"#);
        let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
        let first = fixture.client.ask("POST", "/destinations", &headers, &body);
        let second = async {
            let (connection, _) = hanging.accept().await.unwrap();
            let answer = fixture.client.ask("POST", "/destinations", &headers, &body).await;
            drop(connection);
            answer
        };
        let (first, second) = tokio::join!(first, second);
        second.is_problem(409, "idempotency-key-in-use");
        first.is_problem(422, "probe-failed");
    })
    .await;
}
