//! Takes what dispatchers write for the journal, as the processor would, and keeps which deliveries it
//! says were delivered.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use hookrail_broker::{Broker, BrokerError, JournalReader, JournalStream, codec};
use hookrail_domain::{delivery::DeliveryStatus, ids::DeliveryId, journal::Record};
use tokio::task::JoinHandle;

/// Records taken at once.
const BATCH: usize = 500;
/// Pause before the broker is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// What the journal was told.
pub(crate) struct Journal {
    delivered: Arc<Mutex<HashSet<DeliveryId>>>,
    task: JoinHandle<()>,
}

impl Journal {
    /// Starts taking records.
    pub(crate) fn start(broker: &Broker) -> Self {
        let delivered = Arc::<Mutex<HashSet<DeliveryId>>>::default();
        let task = tokio::spawn(take_for_ever(broker.clone(), Arc::clone(&delivered)));
        Self { delivered, task }
    }

    /// Deliveries that it was told were delivered.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.lock().expect("no holder panics").len() as u64
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take_for_ever(broker: Broker, delivered: Arc<Mutex<HashSet<DeliveryId>>>) {
    loop {
        // The broker may be down at the moment; what was not acknowledged comes again.
        let _broken_off = take(&broker, &delivered).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn take(broker: &Broker, delivered: &Mutex<HashSet<DeliveryId>>) -> Result<(), BrokerError> {
    let mut reader = JournalReader::open(broker, JournalStream::Journal).await?;
    loop {
        let messages = reader.next_batch(BATCH).await?;
        let ids = messages
            .iter()
            .filter_map(|message| delivered_id(&message.payload));
        delivered.lock().expect("no holder panics").extend(ids);
        reader.ack(&messages).await?;
    }
}

fn delivered_id(payload: &[u8]) -> Option<DeliveryId> {
    match codec::decode_record(payload) {
        Ok(Record::State(state)) if state.status == DeliveryStatus::Delivered => Some(state.delivery.id),
        _ => None,
    }
}
