//! Telling of deaths: the event `delivery.dead` is stored in the transaction that stores the death, where
//! anybody takes such events. What puts it into the log is [`crate::publish_internal_events`].

use hookrail_domain::{
    delivery::DeliveryStatus, event_type::DELIVERY_DEAD, internal_event, journal::StateRecord, plan,
    snapshot::Snapshot,
};
use hookrail_store::{StoreError, WriteTransaction, internal_events};

/// Under which definitions it is told, and to how many raw partitions.
#[derive(Clone, Copy)]
pub(crate) struct Telling<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) partitions: u32,
}

impl Telling<'_> {
    /// Stores an event for each of `records` that is a death and has to be told.
    pub(crate) async fn of_deaths<'r>(
        &self,
        transaction: &WriteTransaction,
        records: impl IntoIterator<Item = &'r StateRecord>,
    ) -> Result<(), StoreError> {
        let told: Vec<_> = records
            .into_iter()
            .filter(|record| self.is_told(record))
            .map(|record| internal_event::delivery_dead(record, self.name_of(record), self.partitions))
            .collect();
        if !told.is_empty() {
            internal_events::insert(&**transaction, &told).await?;
        }
        Ok(())
    }

    fn is_told(&self, record: &StateRecord) -> bool {
        record.status == DeliveryStatus::Dead
            && internal_event::tells_of(&record.delivery)
            && plan::is_taken(self.snapshot, record.delivery.workspace, DELIVERY_DEAD)
    }

    fn name_of(&self, record: &StateRecord) -> Option<&str> {
        let destination = self.snapshot.receiver(record.delivery.destination)?;
        Some(destination.spec.name.as_str())
    }
}
