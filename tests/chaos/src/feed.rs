//! Puts deliveries into the queue, as the processor does: those of a lane one after another, each until
//! the broker has it.

use std::time::Duration;

use hookrail_broker::{OutMessage, PublishError, Publisher, codec};
use hookrail_domain::{
    delivery::Delivery,
    event::{Body, Origin},
    ids::{DeliveryId, DestinationId, EventId},
    partition,
};
use tokio::{task::JoinSet, time::MissedTickBehavior};

use crate::{
    bodies::{DeliveryBody, now_us},
    installation::{Installation, workspace},
};

/// Publishers at once, each with lanes of its own.
const PUBLISHERS: u32 = 64;
/// Pause before the broker is asked again for what it did not take.
const PAUSE: Duration = Duration::from_millis(100);

/// Publishes deliveries of one installation.
#[derive(Clone)]
pub(crate) struct Feed {
    publisher: Publisher,
    partitions: u32,
    revision: u64,
}

/// What is to be published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) deliveries: u32,
    pub(crate) lanes: u32,
    /// A second; 0 = as fast as it goes.
    pub(crate) rate: u32,
    /// Whether its deliveries keep their order within their lane.
    pub(crate) ordered: bool,
}

/// A destination and how it is spread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aim {
    pub(crate) destination: DestinationId,
    pub(crate) spread: u32,
}

impl Feed {
    /// Once all definitions are in force.
    pub(crate) fn new(installation: &Installation) -> Self {
        Self {
            publisher: installation.broker.publisher(),
            partitions: installation.broker.settings().partitions,
            revision: installation.revision,
        }
    }

    /// Publishes a whole load; lanes go to `aims` in turn.
    ///
    /// # Errors
    /// When the broker refuses for another reason than being full.
    pub(crate) async fn publish_all(&self, aims: Vec<Aim>, load: Load) -> anyhow::Result<()> {
        let mut tasks = JoinSet::new();
        for publisher in 0..PUBLISHERS {
            let (feed, aims) = (self.clone(), aims.clone());
            tasks.spawn(async move {
                let mut pace = (load.rate > 0).then(|| pace(load.rate));
                // Publisher p has the lanes p, p + PUBLISHERS, …: a lane has one publisher.
                let own = (0..load.deliveries).filter(|number| number % load.lanes % PUBLISHERS == publisher);
                for number in own {
                    if let Some(pace) = &mut pace {
                        pace.tick().await;
                    }
                    let (lane, n) = (number % load.lanes, number / load.lanes);
                    let aim = aims[lane as usize % aims.len()];
                    feed.publish(aim, load.ordered, lane, n).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(())
    }

    /// Publishes one delivery and returns once the broker has it.
    ///
    /// # Errors
    /// When the broker refuses for another reason than being full.
    pub(crate) async fn publish(&self, aim: Aim, ordered: bool, lane: u32, n: u32) -> anyhow::Result<()> {
        let delivery = self.delivery(aim.destination, ordered, lane, n);
        let of_lane = delivery.lane();
        let partition = partition::of_lane(aim.destination, of_lane, aim.spread, self.partitions);
        let (id, payload) = (delivery.id.to_string(), codec::encode_delivery(&delivery));
        let (to, lane) = (aim.destination.to_string(), of_lane.to_string());
        loop {
            let message = OutMessage::plain(&id, payload.clone());
            match self
                .publisher
                .publish_delivery(partition, &to, &lane, message)
                .await
            {
                Ok(_) => return Ok(()),
                Err(PublishError::Unknown { .. } | PublishError::Refused { .. }) => {
                    tokio::time::sleep(PAUSE).await
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn delivery(&self, destination: DestinationId, ordered: bool, lane: u32, n: u32) -> Delivery {
        let number = u128::from(lane) << 32 | u128::from(n);
        let body = DeliveryBody {
            lane,
            n,
            at_us: now_us(),
        };
        let body = serde_json::to_vec(&body).expect("numbers are JSON");
        Delivery {
            id: DeliveryId::from_u128(destination.as_u128() << 64 | number),
            event: EventId::from_u128(number),
            event_type: "entity.updated".to_owned(),
            workspace: workspace(),
            source: None,
            destination,
            route: None,
            entity: None,
            lane_key: ordered.then(|| lane.to_string()),
            origin: Origin {
                partition: 0,
                sequence: u64::from(n) + 1,
                index: lane,
            },
            revision: self.revision,
            accepted_at: 0,
            content_type: Some("application/json".to_owned()),
            headers: Vec::new(),
            body: Body::inline(body),
            traceparent: String::new(),
            replay: None,
            reply: None,
            generation: 0,
            attempts_before: 0,
            was_held: false,
            fetcher: None,
        }
    }
}

fn pace(rate: u32) -> tokio::time::Interval {
    let mut pace = tokio::time::interval(Duration::from_micros(
        1_000_000 * u64::from(PUBLISHERS) / u64::from(rate),
    ));
    // What could not be offered in time is offered later, not all at once.
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}
