//! An owner of the delivery partitions that only looks.

use std::sync::{Arc, Mutex};

use hookrail_broker::{Broker, DeliveryReader, Ownership, OwnershipChange, OwnershipSettings, codec};
use hookrail_domain::{
    delivery::Delivery,
    ownership::{Role, WorkerId},
};

use crate::nats::Nats;

/// What is in the delivery partitions, read by an owner that settles nothing.
pub(crate) type Seen = Arc<Mutex<Vec<Delivery>>>;

pub(crate) async fn watch_deliveries(nats: &Nats, broker: &Broker) -> (Ownership, Seen) {
    let settings = OwnershipSettings::new(WorkerId::new("watch").unwrap(), Role::Dispatcher, 2);
    let (ownership, mut changes) = Ownership::start(&nats.settings(), settings).await.unwrap();
    let seen = Seen::default();
    let (broker, collected) = (broker.clone(), Arc::clone(&seen));
    tokio::spawn(async move {
        while let Some(change) = changes.recv().await {
            if let OwnershipChange::Gained(lease) = change {
                let mut reader = DeliveryReader::open(&broker, &lease).await.unwrap();
                let collected = Arc::clone(&collected);
                tokio::spawn(async move {
                    while let Ok(message) = reader.next().await {
                        let delivery = codec::decode_delivery(&message.payload).unwrap();
                        collected.lock().unwrap().push(delivery);
                    }
                });
            }
        }
    });
    (ownership, seen)
}
