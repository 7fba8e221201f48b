//! What the journal is told of refused requests.

use hookrail_broker::{JournalKind, JournalReader, JournalStream, codec};
use hookrail_domain::journal::Record;

use crate::gateway::{Gateway, api_key_spec};

#[tokio::test(flavor = "multi_thread")]
async fn refused_requests_are_shown_to_the_owner_and_counted() {
    let gateway = Gateway::start(vec![api_key_spec("orders", None, None)]).await;
    for _ in 0..30 {
        let headers = [("x-api-key", "s3cre"), ("x-shop", "a")];
        let answer = gateway.send("POST", "/default/orders", &headers, b"{}").await;
        assert_eq!(answer.status, 401);
    }
    let (mut shown, mut counted) = (Vec::new(), 0);
    let mut journal = JournalReader::open(&gateway.broker, JournalStream::Journal)
        .await
        .unwrap();
    while counted < 30 {
        let batch = journal.next_batch(100).await.unwrap();
        for message in &batch {
            match codec::decode_record(&message.payload).unwrap() {
                Record::Rejection(record) => shown.push(record),
                Record::Count(record) => {
                    assert_eq!(message.kind, Some(JournalKind::Count));
                    assert_eq!(record.code, "unauthorized");
                    counted += record.refused;
                }
                other => panic!("{other:?}"),
            }
        }
        journal.ack(&batch).await.unwrap();
    }
    assert_eq!(counted, 30);
    assert!(
        (10..=20).contains(&shown.len()),
        "{} in at most two seconds",
        shown.len()
    );
    let first = &shown[0];
    assert_eq!(
        (first.code.as_str(), first.method.as_str()),
        ("unauthorized", "POST")
    );
    assert_eq!(first.detail, "the API key is none of this source's");
    assert!(first.headers.contains(&("x-shop".to_owned(), "a".to_owned())));
    assert!(!format!("{first:?}").contains("s3cre"));
}
