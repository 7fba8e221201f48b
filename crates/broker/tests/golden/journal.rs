//! What the journal gets: every kind of record.

use hookrail_broker::codec;
use hookrail_domain::{
    delivery::{Attempt, DeliveryStatus, ErrorCode, Failure},
    ids::{SourceId, WorkspaceId},
    journal::{CountRecord, Record, RejectionRecord, StateRecord},
};

use crate::{Golden, flow::dead_state};

pub(crate) fn all() -> Vec<Golden> {
    let parked = StateRecord {
        status: DeliveryStatus::Parked,
        next_at: Some(1_764_000_005_000),
        settled_at: None,
        failure: None,
        ..dead_state()
    };
    vec![
        record("journal_state_answered", of_attempt(answered())),
        record("journal_state_failed", of_attempt(failed())),
        record("journal_state_dead", Record::State(Box::new(dead_state()))),
        record("journal_state_parked", Record::State(Box::new(parked))),
        record("journal_rejection", Record::Rejection(Box::new(rejection()))),
        record("journal_count", Record::Count(Box::new(count()))),
    ]
}

fn record(name: &'static str, record: Record) -> Golden {
    let (_, bytes) = codec::encode_record(&record);
    Golden::new(name, record, bytes, codec::decode_record)
}

fn of_attempt(attempt: Attempt) -> Record {
    let attempt = Some(Box::new(attempt));
    Record::State(Box::new(StateRecord {
        attempt,
        ..dead_state()
    }))
}

fn answered() -> Attempt {
    Attempt {
        number: 3,
        epoch: 77,
        started_at: 1_764_000_000_123,
        duration_ms: 45,
        method: "POST".into(),
        url: "https://receiver.example/hook".into(),
        request_headers: vec![("webhook-id".into(), "dlv_0000000000000000000000000A".into())],
        status: Some(503),
        response_headers: vec![("retry-after".into(), "5".into()), ("server".into(), "x".into())],
        response_body: b"later\0\xff".to_vec(),
        failure: Some(Failure {
            code: ErrorCode::Status,
            detail: "it answered 503".into(),
        }),
    }
}

fn failed() -> Attempt {
    Attempt {
        status: None,
        response_headers: Vec::new(),
        response_body: Vec::new(),
        failure: Some(Failure {
            code: ErrorCode::AddressRefused,
            detail: "10.0.0.1 is private".into(),
        }),
        ..answered()
    }
}

fn rejection() -> RejectionRecord {
    RejectionRecord {
        source: SourceId::from_u128(2),
        workspace: WorkspaceId::from_u128(1),
        at: 1_764_000_000_000,
        code: "unauthorized".into(),
        detail: "the request has no API key".into(),
        remote_addr: Some("192.0.2.7".into()),
        method: "POST".into(),
        headers: vec![("x-shop".into(), "north".into())],
    }
}

fn count() -> CountRecord {
    CountRecord {
        instance: "ingress-1".into(),
        number: 8,
        source: SourceId::from_u128(2),
        code: "too-large".into(),
        refused: 300,
    }
}
