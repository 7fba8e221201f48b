//! Writes what happened to a delivery for the journal.

use std::sync::Arc;

use hookrail_broker::{PublishError, Publisher, codec};
use hookrail_domain::{
    Millis,
    delivery::{Attempt, Delivery, DeliveryStatus, ErrorCode, Failure},
    journal::{Record, StateRecord},
    lane::{End, Settle},
    retry::Progress,
};

use crate::journal_fill::JournalFill;

/// Publishes records of one partition.
#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) publisher: Publisher,
    pub(crate) fill: Arc<JournalFill>,
    pub(crate) partition: u32,
    pub(crate) epoch: u64,
}

impl Recorder {
    /// An attempt failed, and the delivery waits for its next.
    pub(crate) async fn waits(
        &self,
        delivery: &Delivery,
        progress: Progress,
        attempt: Box<Attempt>,
    ) -> Result<(), PublishError> {
        let failure = attempt.failure.clone();
        let mut record = self.state(delivery, DeliveryStatus::Parked, progress, failure);
        self.add_attempt(&mut record, Some(attempt));
        self.publish_state(record).await
    }

    /// It waits since its route is paused.
    pub(crate) async fn is_held(&self, delivery: &Delivery, progress: Progress) -> Result<(), PublishError> {
        let record = self.state(delivery, DeliveryStatus::Parked, progress, None);
        self.publish_state(record).await
    }

    /// It ended, by an attempt or without one. A dead one is handed over with its body, in the same
    /// breath as its state.
    pub(crate) async fn ended(
        &self,
        delivery: &Delivery,
        settle: Settle,
        attempt: Option<Box<Attempt>>,
        now: Millis,
    ) -> Result<(), PublishError> {
        let status = match settle.end {
            End::Delivered => DeliveryStatus::Delivered,
            End::Dead(_) => DeliveryStatus::Dead,
            End::Cancelled(_) => DeliveryStatus::Cancelled,
            End::Stale | End::Moved => return Ok(()),
        };
        let failure = attempt.as_ref().and_then(|attempt| attempt.failure.clone());
        let failure = failure.or_else(|| of_end(settle.end));
        let mut record = self.state(delivery, status, settle.progress, failure);
        record.settled_at = Some(now);
        self.add_attempt(&mut record, attempt);
        match status {
            DeliveryStatus::Dead => self.publish_dead(delivery, record).await,
            _ => self.publish_state(record).await,
        }
    }

    fn add_attempt(&self, record: &mut StateRecord, attempt: Option<Box<Attempt>>) {
        record.attempt = attempt;
        if record.attempt.is_some() && self.fill.leaves_out() {
            leave_out_details(record);
        }
    }

    async fn publish_dead(&self, delivery: &Delivery, mut record: StateRecord) -> Result<(), PublishError> {
        let id = format!("{}.d.{}", delivery.id, record.generation);
        let publish = async |record: &StateRecord| {
            let payload = codec::encode_dead(delivery, record);
            self.publisher.publish_dead(self.partition, &id, payload).await
        };
        let published = match publish(&record).await {
            Err(PublishError::TooLarge { .. }) => {
                leave_out_details(&mut record);
                publish(&record).await
            }
            published => published,
        };
        published.map(drop)
    }

    fn state(
        &self,
        delivery: &Delivery,
        status: DeliveryStatus,
        progress: Progress,
        failure: Option<Failure>,
    ) -> StateRecord {
        StateRecord {
            delivery: delivery.into(),
            status,
            epoch: self.epoch,
            attempts: delivery.attempts_before.saturating_add(progress.attempts),
            next_at: (progress.next_at > 0).then_some(progress.next_at),
            settled_at: None,
            failure,
            generation: delivery.generation,
            attempt: None,
        }
    }

    async fn publish_state(&self, record: StateRecord) -> Result<(), PublishError> {
        let id = format!(
            "{}.s.{}.{}.{}.{}",
            record.delivery.id,
            record.generation,
            record.epoch,
            record.attempts,
            record.status.as_str()
        );
        let mut record = Record::State(Box::new(record));
        match self.publish(&id, &record).await {
            Err(PublishError::TooLarge { .. }) => {
                if let Record::State(state) = &mut record {
                    leave_out_details(state);
                }
                self.publish(&id, &record).await
            }
            published => published,
        }
    }

    async fn publish(&self, id: &str, record: &Record) -> Result<(), PublishError> {
        let (kind, payload) = codec::encode_record(record);
        self.publisher
            .publish_journal(kind, self.partition, id, payload)
            .await
            .map(drop)
    }
}

/// What happened is never left out of the journal; what was said may be, where it is too long for a message.
fn leave_out_details(record: &mut StateRecord) {
    if let Some(attempt) = &mut record.attempt {
        attempt.request_headers = Vec::new();
        attempt.response_headers = Vec::new();
        attempt.response_body = Vec::new();
    }
}

/// What a delivery that ended without an attempt failed of.
pub(crate) fn of_end(end: End) -> Option<Failure> {
    let detail = match end {
        End::Dead(ErrorCode::OverQuota) => "its destination has too much waiting already",
        End::Dead(_) => "it was given up",
        End::Cancelled(ErrorCode::Expired) => "its caller had gone",
        End::Cancelled(_) => "it was cancelled, or its destination was deleted",
        End::Delivered | End::Stale | End::Moved => return None,
    };
    let (End::Dead(code) | End::Cancelled(code)) = end else {
        return None;
    };
    Some(Failure {
        code,
        detail: detail.to_owned(),
    })
}
