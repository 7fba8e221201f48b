//! Writes what happened to a delivery for the journal.

use hookrail_broker::{PublishError, Publisher, codec};
use hookrail_domain::{
    Millis,
    delivery::{Attempt, Delivery, DeliveryStatus, Failure},
    journal::{AttemptRecord, Record, StateRecord},
    lane::End,
    retry::Progress,
};

/// Publishes records of one partition.
#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) publisher: Publisher,
    pub(crate) partition: u32,
    pub(crate) epoch: u64,
}

impl Recorder {
    /// An attempt was made.
    pub(crate) async fn attempt(&self, delivery: &Delivery, attempt: Attempt) -> Result<(), PublishError> {
        let id = format!("{}.a.{}.{}", delivery.id, self.epoch, attempt.number);
        let record = Record::Attempt(Box::new(AttemptRecord {
            delivery: delivery.into(),
            attempt,
        }));
        self.publish(&id, &record).await
    }

    /// It failed and waits for its next attempt.
    pub(crate) async fn waits(
        &self,
        delivery: &Delivery,
        progress: Progress,
        failure: Option<Failure>,
    ) -> Result<(), PublishError> {
        let record = self.state(delivery, DeliveryStatus::Parked, progress, failure);
        self.publish_state(record).await
    }

    /// It ended. A dead one is handed over with its body, in the same breath as its state.
    pub(crate) async fn ended(
        &self,
        delivery: &Delivery,
        end: End,
        progress: Progress,
        failure: Option<Failure>,
        now: Millis,
    ) -> Result<(), PublishError> {
        let status = match end {
            End::Delivered => DeliveryStatus::Delivered,
            End::Dead(_) => DeliveryStatus::Dead,
            End::Cancelled(_) => DeliveryStatus::Cancelled,
            End::Stale | End::Moved => return Ok(()),
        };
        let mut record = self.state(delivery, status, progress, failure);
        record.settled_at = Some(now);
        if status == DeliveryStatus::Dead {
            let payload = codec::encode_dead(delivery, &record);
            let id = format!("{}.d.{}", delivery.id, record.generation);
            self.publisher.publish_dead(self.partition, &id, payload).await?;
            return Ok(());
        }
        self.publish_state(record).await
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
            attempts: progress.attempts,
            next_at: (progress.next_at > 0).then_some(progress.next_at),
            settled_at: None,
            failure,
            generation: 0,
        }
    }

    async fn publish_state(&self, record: StateRecord) -> Result<(), PublishError> {
        let id = format!(
            "{}.s.{}.{}.{}",
            record.delivery.id,
            record.epoch,
            record.attempts,
            record.status.as_str()
        );
        self.publish(&id, &Record::State(Box::new(record))).await
    }

    async fn publish(&self, id: &str, record: &Record) -> Result<(), PublishError> {
        let (kind, payload) = codec::encode_record(record);
        self.publisher
            .publish_journal(kind, self.partition, id, payload)
            .await
            .map(drop)
    }
}
