//! Telling the journal about refused requests. Best effort for single ones, exact for their number;
//! neither ever delays an answer.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use hookrail_broker::{PublishError, codec};
use hookrail_domain::ids::SourceId;
use hookrail_domain::journal::{CountRecord, Record, RejectionRecord};
use hookrail_runtime::clock::now_ms;
use hookrail_runtime::forwarded::client_address;
use hookrail_runtime::{ServiceContext, random};
use ipnet::IpNet;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::credentials::kept_headers;
use crate::intake::Intake;
use crate::refusal::Refusal;
use crate::refusal_counts::{CountRecords, RefusalCounts};
use crate::rejection_samples::RejectionSamples;
use crate::state::Ingress;

/// Refused requests that wait for the journal; further ones are only counted.
const QUEUE_MAX: usize = 1_000;
/// Headers that are shown of one.
const HEADERS_MAX: usize = 50;
/// Bytes that are shown of a header, and of what was wrong.
const TEXT_MAX_BYTES: usize = 1_024;
/// How often the numbers are sent.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// Where refusals are noted.
pub(crate) struct RefusalReports {
    counts: RefusalCounts,
    samples: RejectionSamples,
    queue: mpsc::Sender<RejectionRecord>,
}

impl RefusalReports {
    pub(crate) fn new() -> (Self, mpsc::Receiver<RejectionRecord>) {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let reports = Self {
            counts: RefusalCounts::default(),
            samples: RejectionSamples::new(),
            queue,
        };
        (reports, waiting)
    }

    /// Counts a refusal, and shows it where it is among the first of its second.
    pub(crate) fn note(&self, intake: &Intake, refusal: &Refusal, request: &HttpRequest, trusted: &[IpNet]) {
        let now = now_ms();
        self.counts.add(intake.source.id, refusal.code());
        if self.queue.capacity() > 0 && self.samples.take(intake.source.id, now) {
            // Full again: it was counted, and that is all that was promised.
            let _ = self.queue.try_send(RejectionRecord {
                remote_addr: client_address(request, trusted).map(|client| client.to_string()),
                ..rejection(intake, refusal, request, now)
            });
        }
    }
}

fn rejection(intake: &Intake, refusal: &Refusal, request: &HttpRequest, now: i64) -> RejectionRecord {
    let mut headers = kept_headers(intake, request.headers(), &[]);
    headers.truncate(HEADERS_MAX);
    headers.iter_mut().for_each(|(_, value)| shorten(value));
    let mut detail = refusal.owner_detail();
    shorten(&mut detail);
    RejectionRecord {
        source: intake.source.id,
        workspace: intake.source.workspace,
        at: now,
        code: refusal.code().to_owned(),
        detail,
        remote_addr: None,
        method: request.method().as_str().to_owned(),
        headers,
    }
}

fn shorten(text: &mut String) {
    if text.len() > TEXT_MAX_BYTES {
        text.truncate(text.floor_char_boundary(TEXT_MAX_BYTES));
    }
}

/// Sends refused requests to the journal until the process stops.
pub(crate) async fn send_rejections(
    ingress: Arc<Ingress>,
    mut waiting: mpsc::Receiver<RejectionRecord>,
    context: ServiceContext,
) {
    let instance = random::hex_token::<8>();
    let mut number = 0_u64;
    loop {
        let record = tokio::select! {
            () = context.shutdown.cancelled() => return,
            record = waiting.recv() => record,
        };
        let Some(record) = record else { return };
        number += 1;
        let id = format!("rejection-{instance}-{number}");
        let source = record.source;
        let record = Record::Rejection(Box::new(record));
        if let Err(error) = publish(&ingress, source, &id, &record).await {
            ingress.metrics.reports_dropped.inc();
            tracing::debug!(%error, "a refused request was not reported");
        }
    }
}

/// Sends the numbers of refused requests to the journal, a last time when `stop` is cancelled.
pub(crate) async fn send_counts(ingress: Arc<Ingress>, stop: CancellationToken) {
    let mut records = CountRecords::new(random::hex_token::<8>());
    loop {
        let is_over = tokio::select! {
            () = stop.cancelled() => true,
            () = tokio::time::sleep(COUNT_INTERVAL) => false,
        };
        send_pending(&ingress, &mut records).await;
        if is_over {
            return;
        }
    }
}

async fn send_pending(ingress: &Ingress, records: &mut CountRecords) {
    let pending = records.refill(&ingress.reports.counts);
    while let Some(record) = pending.last() {
        if let Err(error) = publish_count(ingress, record).await {
            tracing::debug!(%error, "numbers of refused requests wait for the journal");
            return;
        }
        pending.pop();
    }
}

async fn publish_count(ingress: &Ingress, count: &CountRecord) -> Result<(), PublishError> {
    let id = format!("count-{}-{}", count.instance, count.number);
    let record = Record::Count(Box::new(count.clone()));
    publish(ingress, count.source, &id, &record).await
}

async fn publish(ingress: &Ingress, source: SourceId, id: &str, record: &Record) -> Result<(), PublishError> {
    let partitions = u128::from(ingress.broker.settings().partitions);
    let partition = (source.as_u128() % partitions) as u32;
    let (kind, payload) = codec::encode_record(record);
    ingress
        .broker
        .publisher()
        .publish_journal(kind, partition, id, payload)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let mut text = "ä".repeat(TEXT_MAX_BYTES);
        shorten(&mut text);
        assert_eq!(text.len(), TEXT_MAX_BYTES);
        let mut odd = format!("x{}", "ä".repeat(TEXT_MAX_BYTES));
        shorten(&mut odd);
        assert_eq!(odd.len(), TEXT_MAX_BYTES - 1);
    }
}
