//! Replacing a partition's consumer at a takeover.
//!
//! Redelivery by a timer into a live consumer reorders. So a new owner deletes the consumer and
//! creates it again for its own epoch: everything unacknowledged comes again, in order, and pulls
//! of an older owner are refused, since they name another group.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{PriorityPolicy, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::ConsumerErrorKind;

use crate::connection::Broker;
use crate::error::{BrokerError, ReaderError};
use crate::lease::Lease;

/// The priority group of an epoch.
pub(crate) fn group_of(epoch: u64) -> String {
    format!("e{epoch}")
}

fn epoch_of(group: &str) -> Option<u64> {
    group.strip_prefix('e')?.parse().ok()
}

pub(crate) fn replaced(lease: &Lease) -> ReaderError {
    ReaderError::Replaced {
        partition: lease.partition(),
        epoch: lease.epoch(),
    }
}

/// Deletes the consumer, creates it for the lease's epoch, and makes sure that the lease is still
/// the newest.
///
/// `config` needs a durable name; its priority group is set here.
pub(crate) async fn replace_consumer(
    broker: &Broker,
    lease: &Lease,
    stream: &str,
    config: pull::Config,
) -> Result<(), ReaderError> {
    let name = config.durable_name.clone().unwrap_or_default();
    let found = newest_epoch(broker, stream, &name).await?;
    if found.is_some_and(|epoch| epoch > lease.epoch()) || !lease.holds() {
        return Err(replaced(lease));
    }
    if found.is_some() {
        delete_consumer(broker, stream, &name).await?;
    }
    let config = pull::Config {
        priority_policy: PriorityPolicy::Overflow,
        priority_groups: vec![group_of(lease.epoch())],
        ..config
    };
    broker
        .jetstream()
        .create_consumer_strict_on_stream(config, stream)
        .await
        .map_err(|error| BrokerError::request(format!("creating consumer {name} of {stream}"), error))?;
    if lease.confirm(broker).await? {
        Ok(())
    } else {
        Err(replaced(lease))
    }
}

/// The newest epoch that the consumer was made for; `None` = there is no such consumer.
async fn newest_epoch(broker: &Broker, stream: &str, name: &str) -> Result<Option<u64>, BrokerError> {
    match broker.stream_ref(stream).await?.consumer_info(name).await {
        Ok(info) => {
            let epochs = info
                .config
                .priority_groups
                .iter()
                .filter_map(|group| epoch_of(group));
            Ok(Some(epochs.max().unwrap_or(0)))
        }
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(BrokerError::request(
            format!("consumer {name} of {stream}"),
            error,
        )),
    }
}

pub(crate) async fn delete_consumer(broker: &Broker, stream: &str, name: &str) -> Result<(), BrokerError> {
    match broker.jetstream().delete_consumer_from_stream(name, stream).await {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ConsumerErrorKind::JetStream(reason) if reason.error_code() == ErrorCode::CONSUMER_NOT_FOUND => {
                Ok(())
            }
            _ => Err(BrokerError::request(
                format!("deleting consumer {name} of {stream}"),
                error,
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_groups_epoch_is_read_back() {
        assert_eq!(epoch_of(&group_of(42)), Some(42));
        assert_eq!(epoch_of("A"), None);
        assert_eq!(epoch_of("e"), None);
    }
}
