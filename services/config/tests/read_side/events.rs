//! `/events`.

use hookrail_domain::event::EventStatus;
use serde_json::json;

use crate::running::Running;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_there_from_the_moment_it_was_accepted_with_exact_numbers() {
    let running = Running::start().await;
    let source = running.source(json!({})).await;
    let id = running
        .send(&source, json!({"id": 9_007_199_254_740_993_u64, "name": "Ann"}))
        .await;
    let answer = running
        .api
        .call("GET", &format!("/events/{id}"), None)
        .await
        .unwrap();
    assert!(
        answer
            .text
            .contains(r#""payload":{"id":9007199254740993,"name":"Ann"}"#),
        "{}",
        answer.text
    );
    let event = answer.expect(200).unwrap();
    assert_eq!(
        (&event["status"], &event["source"]),
        (&json!("received"), &json!(source))
    );
    assert_eq!(event["payload_expired"], json!(false));
    assert!(
        event["headers"]
            .as_array()
            .unwrap()
            .contains(&json!({"name": "hookrail-test", "value": "true"}))
    );
    let raw = running
        .api
        .call("GET", &format!("/events/{id}/raw"), None)
        .await
        .unwrap();
    assert_eq!(
        (raw.status, raw.header("content-type")),
        (200, "application/json")
    );
    assert_eq!(raw.text, r#"{"id":9007199254740993,"name":"Ann"}"#);
    assert_eq!(raw.header("x-content-type-options"), "nosniff");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processed_event_is_listed_and_outlives_its_payload() {
    let running = Running::start().await;
    let source = running.source(json!({})).await;
    let id = running.send(&source, json!({"a": 1})).await;
    let (event, sequence) = running.process(&id, EventStatus::Failed).await;
    let list = running
        .api
        .get(&format!("/events?source={source}&status=failed"))
        .await
        .unwrap();
    assert_eq!(list["items"][0]["id"], json!(id));
    assert_eq!(list["next_cursor"], json!(null));
    assert_eq!(
        list["items"][0]["error"],
        json!({"code": "mapping", "detail": "no unique id"})
    );
    let read = running.api.get(&format!("/events/{id}")).await.unwrap();
    assert_eq!(
        (&read["status"], &read["payload"]),
        (&json!("failed"), &json!({"a": 1}))
    );
    running
        .broker
        .trim_raw(event.id.partition(), sequence)
        .await
        .unwrap();
    let read = running.api.get(&format!("/events/{id}")).await.unwrap();
    assert_eq!(
        (&read["payload_expired"], &read["payload"]),
        (&json!(true), &json!(null))
    );
    let raw = running
        .api
        .call("GET", &format!("/events/{id}/raw"), None)
        .await
        .unwrap();
    assert_eq!(
        (raw.status, &raw.json()["code"]),
        (410, &json!("payload-expired"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_404_and_wrong_filters_are_422() {
    let running = Running::start().await;
    for path in [
        "/events/evt_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "/events/x",
        "/events/evt_x/raw",
        "/deliveries/x",
    ] {
        assert_eq!(
            running.api.call("GET", path, None).await.unwrap().status,
            404,
            "{path}"
        );
    }
    for path in [
        "/events?status=lost",
        "/events?since=yesterday",
        "/events?entity=x",
        "/deliveries?status=lost",
    ] {
        assert_eq!(
            running.api.call("GET", path, None).await.unwrap().status,
            422,
            "{path}"
        );
    }
    let other = running
        .api
        .create("/workspaces", json!({"code": "other"}))
        .await
        .unwrap();
    let source = running.source(json!({})).await;
    let id = running.send(&source, json!({})).await;
    let elsewhere = format!("/events/{id}?workspace={}", other["code"].as_str().unwrap());
    assert_eq!(
        running.api.call("GET", &elsewhere, None).await.unwrap().status,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_event_is_taken_once_by_its_key_and_lies_in_its_keys_partition() {
    let running = Running::start().await;
    let body = json!({"event_type": "invoice.paid", "data": {"n": 9_007_199_254_740_993_u64},
        "current_context": {"by": "me"}, "ordering_key": "c-1", "idempotency_key": "k-1"});
    let post =
        async |body: &serde_json::Value| running.api.call("POST", "/events", Some(body)).await.unwrap();
    let first = post(&body).await.expect(202).unwrap();
    let again = post(&body).await.expect(200).unwrap();
    assert_eq!(first["event_id"], again["event_id"]);
    let other = post(
        &json!({"event_type": "invoice.paid", "data": 1, "ordering_key": "c-1", "idempotency_key": "k-1"}),
    )
    .await;
    assert_eq!(
        (other.status, &other.json()["code"]),
        (422, &json!("idempotency-key-reused"))
    );
    let id = first["event_id"].as_str().unwrap();
    let (event, _) = running.logged(id).await;
    assert_eq!(&event.body.bytes().unwrap()[..], br#"{"n":9007199254740993}"#);
    assert_eq!((event.source, event.ordering_key.as_deref()), (None, Some("c-1")));
    let partition = hookrail_domain::partition::of_key(event.workspace.as_u128(), "c-1", 4);
    assert_eq!(event.id.partition(), partition);
    let read = running.api.get(&format!("/events/{id}")).await.unwrap();
    assert_eq!(read["current_context"], json!({"by": "me"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_event_that_can_not_be_meant_is_refused_by_field() {
    let running = Running::start().await;
    for (body, pointer) in [
        (json!({"event_type": "entity.created", "data": 1}), "/event_type"),
        (json!({"event_type": "no spaces", "data": 1}), "/event_type"),
        (json!({"event_type": "a.b"}), "/data"),
        (json!({"event_type": "a.b", "data": 1, "more": 2}), "/more"),
        (
            json!({"event_type": "a.b", "data": 1, "ordering_key": ""}),
            "/ordering_key",
        ),
    ] {
        let answer = running.api.call("POST", "/events", Some(&body)).await.unwrap();
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["pointer"]),
            (422, &json!(pointer)),
            "{body}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_events_are_listed_until_they_are_processed() {
    let running = Running::start().await;
    let source = running.source(json!({"ordering": {"mode": "source"}})).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(running.send(&source, json!({ "number": number })).await);
    }
    ids.sort();
    let posted = json!({"event_type": "order.paid", "data": {}});
    let answer = running.api.call("POST", "/events", Some(&posted)).await.unwrap();
    let posted = answer.expect(202).unwrap()["event_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let listed = async |query: String| {
        let list = running
            .api
            .get(&format!("/events?status=received{query}"))
            .await
            .unwrap();
        let items = list["items"].as_array().unwrap().clone();
        let ids: Vec<String> = items
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect();
        (ids, list["next_cursor"].as_str().map(str::to_owned), items)
    };
    let (all, next, items) = listed("&order=asc".to_owned()).await;
    let mut wanted = ids.clone();
    wanted.push(posted.clone());
    wanted.sort();
    assert_eq!((&all, next), (&wanted, None));
    let first = items.iter().find(|item| item["id"] == json!(ids[0])).unwrap();
    assert_eq!(
        (&first["status"], &first["source"]),
        (&json!("received"), &json!(source))
    );
    assert_eq!(
        (&first["processed_at"], &first["size"]),
        (&json!(null), &json!(12))
    );

    // Pages, from the newest on; processed ones leave the list at once.
    let (page, next, _) = listed(format!("&source={source}&limit=2")).await;
    assert_eq!(page, [ids[4].clone(), ids[3].clone()]);
    running.process(&ids[0], EventStatus::Processed).await;
    let (page, next, _) = listed(format!("&source={source}&limit=2&cursor={}", next.unwrap())).await;
    assert_eq!((page, next), (vec![ids[2].clone(), ids[1].clone()], None));
    let (since, _, _) = listed("&since=2099-01-01T00:00:00Z".to_owned()).await;
    assert_eq!(since, Vec::<String>::new());
    let (other, _, _) = listed("&source=src_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()).await;
    assert_eq!(other, Vec::<String>::new());
    for query in ["&q=x", "&entity=customer/42"] {
        let path = format!("/events?status=received{query}");
        assert_eq!(
            running.api.call("GET", &path, None).await.unwrap().status,
            422,
            "{path}"
        );
    }
    let workspace = running
        .api
        .create("/workspaces", json!({"code": "else"}))
        .await
        .unwrap();
    let (elsewhere, _, _) = listed(format!("&workspace={}", workspace["code"].as_str().unwrap())).await;
    assert_eq!(elsewhere, Vec::<String>::new(), "nothing of another workspace");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_paused_source_holds_is_shown_whole_among_what_waits() {
    let running = Running::start().await;
    let source = running
        .source(json!({"paused": true, "ordering": {"mode": "source"}}))
        .await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(running.send(&source, json!({ "n": n })).await);
    }
    for id in &ids[..3] {
        running.hold(id).await;
    }
    let get = async |path: &str| running.api.get(path).await.unwrap();
    let status = get(&format!("/sources/{source}/status")).await;
    assert_eq!(
        (
            &status["state"],
            &status["queued"],
            &status["received"],
            &status["processed"]
        ),
        (&json!("paused"), &json!(5), &json!(5), &json!(0))
    );
    assert!(status["last_event_at"].is_string());

    let mut listed = Vec::new();
    let mut next = String::new();
    loop {
        let path = format!("/events?status=received&source={source}&limit=2{next}");
        let page = get(&path).await;
        let items = page["items"].as_array().unwrap();
        assert!(
            items
                .iter()
                .all(|item| item["status"] == "received" && item["processed_at"].is_null())
        );
        listed.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(listed, newest_first);

    let event = get(&format!("/events/{}", ids[1])).await;
    assert_eq!(
        (
            &event["status"],
            &event["payload"],
            &event["payload_expired"],
            &event["processed_at"]
        ),
        (&json!("received"), &json!({"n": 1}), &json!(false), &json!(null))
    );
    let raw = running
        .api
        .call("GET", &format!("/events/{}/raw", ids[1]), None)
        .await
        .unwrap();
    assert_eq!((raw.status, raw.text.as_str()), (200, r#"{"n":1}"#));
}
