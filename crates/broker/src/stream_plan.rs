//! What each stream must look like, by the settings. Pure: nothing here asks the broker.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, Republish, RetentionPolicy, StorageType};

use crate::names::{CONSUMER_CONFIG, CONSUMER_JOURNAL, Names, PARKED_STREAMS};
use crate::settings::BrokerSettings;

/// How long the marker of a removed key may be kept at most.
const MARKER_TTL_MAX: Duration = Duration::from_secs(24 * 3600);

/// One stream, and the durable consumer that is created with it.
#[derive(Clone, Debug)]
pub(crate) struct StreamPlan {
    pub(crate) config: Config,
    /// Created with the stream; those of partitions are created by their owners.
    pub(crate) consumer: Option<&'static str>,
}

/// All streams of an installation.
pub(crate) fn all_streams(names: &Names, settings: &BrokerSettings) -> Vec<StreamPlan> {
    let mut plans = Vec::new();
    for partition in 0..settings.partitions {
        plans.push(raw(names, settings, partition));
        plans.push(delivery(names, settings, partition));
    }
    for shard in 0..PARKED_STREAMS.min(settings.partitions) {
        plans.push(parked(names, settings, shard));
    }
    plans.extend(shared_queues(names, settings));
    plans.push(responses(names, settings));
    plans.push(objects(names, settings));
    let limits = &settings.limits;
    plans.push(bucket(settings, names.config_bucket(), limits.config_max_bytes));
    plans.push(bucket(settings, names.owner_bucket(), limits.owner_max_bytes));
    plans
}

fn base(settings: &BrokerSettings, name: String, subjects: Vec<String>, max_bytes: i64) -> Config {
    Config {
        name,
        subjects,
        max_bytes,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        num_replicas: settings.replicas,
        duplicate_window: Duration::from_millis(settings.duplicate_window_ms),
        ..Config::default()
    }
}

fn queue(settings: &BrokerSettings, name: String, subject: String, max_bytes: i64) -> Config {
    Config {
        retention: RetentionPolicy::WorkQueue,
        ..base(settings, name, vec![subject], max_bytes)
    }
}

fn raw(names: &Names, settings: &BrokerSettings, partition: u32) -> StreamPlan {
    let subjects = vec![names.raw_subjects(partition)];
    let max_bytes = settings.limits.raw_max_bytes;
    StreamPlan {
        config: base(settings, names.raw_stream(partition), subjects, max_bytes),
        consumer: None,
    }
}

fn delivery(names: &Names, settings: &BrokerSettings, partition: u32) -> StreamPlan {
    let subject = names.delivery_subjects(partition);
    let max_bytes = settings.limits.delivery_max_bytes;
    StreamPlan {
        config: queue(settings, names.delivery_stream(partition), subject, max_bytes),
        consumer: None,
    }
}

fn parked(names: &Names, settings: &BrokerSettings, shard: u32) -> StreamPlan {
    let subjects = (0..settings.partitions)
        .filter(|partition| partition % PARKED_STREAMS == shard)
        .map(|partition| names.parked_subjects(partition))
        .collect();
    let max_bytes = settings.limits.parked_max_bytes;
    StreamPlan {
        config: Config {
            allow_rollup: true,
            // An atomic batch costs a file of its own without replicas, so it is used with them only.
            allow_atomic_publish: settings.replicas > 1,
            ..base(settings, names.parked_stream(shard), subjects, max_bytes)
        },
        consumer: None,
    }
}

fn shared_queues(names: &Names, settings: &BrokerSettings) -> [StreamPlan; 3] {
    let limits = &settings.limits;
    [
        (
            names.dead_stream(),
            "dead.*",
            limits.dead_max_bytes,
            CONSUMER_JOURNAL,
        ),
        (
            names.journal_stream(),
            "jrn.*.*",
            limits.journal_max_bytes,
            CONSUMER_JOURNAL,
        ),
        (
            names.notice_stream(),
            "notice.*",
            limits.notice_max_bytes,
            CONSUMER_CONFIG,
        ),
    ]
    .map(|(name, subjects, max_bytes, consumer)| StreamPlan {
        config: queue(settings, name, names.under_root(subjects), max_bytes),
        consumer: Some(consumer),
    })
}

fn responses(names: &Names, settings: &BrokerSettings) -> StreamPlan {
    let (source, destination) = names.response_republish();
    let subjects = vec![source.clone()];
    let max_bytes = settings.limits.response_max_bytes;
    StreamPlan {
        config: Config {
            max_messages_per_subject: 1,
            allow_message_ttl: true,
            republish: Some(Republish {
                source,
                destination,
                headers_only: false,
            }),
            ..base(settings, names.response_stream(), subjects, max_bytes)
        },
        consumer: None,
    }
}

/// A chunk that is put again takes the place of the same one.
fn objects(names: &Names, settings: &BrokerSettings) -> StreamPlan {
    let subjects = vec![names.under_root("obj.*.*.*")];
    let max_bytes = settings.limits.object_max_bytes;
    StreamPlan {
        config: Config {
            max_messages_per_subject: 1,
            allow_direct: true,
            ..base(settings, names.object_stream(), subjects, max_bytes)
        },
        consumer: None,
    }
}

fn bucket(settings: &BrokerSettings, bucket: String, max_bytes: i64) -> StreamPlan {
    let subjects = vec![Names::key_subject(&bucket, ">")];
    StreamPlan {
        config: Config {
            max_messages_per_subject: 1,
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            allow_message_ttl: true,
            subject_delete_marker_ttl: Some(MARKER_TTL_MAX),
            ..base(settings, Names::bucket_stream(&bucket), subjects, max_bytes)
        },
        consumer: None,
    }
}

/// Why an existing stream can't be made what it must be: a setting, what it is, what it must be.
pub(crate) type Conflict = (&'static str, String, String);

/// What to do with an existing stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StreamCheck {
    /// It is as it must be.
    Good,
    /// Limits changed: update it.
    Update,
    /// It can't be changed safely.
    Refuse(Conflict),
}

/// Compares an existing stream with what it must be.
pub(crate) fn check_stream(found: &Config, wanted: &Config) -> StreamCheck {
    let fixed: [(&'static str, String, String); 6] = [
        fixed("replicas", &found.num_replicas, &wanted.num_replicas),
        fixed("retention", &found.retention, &wanted.retention),
        fixed("storage", &found.storage, &wanted.storage),
        fixed("discard", &found.discard, &wanted.discard),
        fixed("subjects", &sorted(found), &sorted(wanted)),
        fixed("max_age", &found.max_age, &wanted.max_age),
    ];
    if let Some(conflict) = fixed.into_iter().find(|(_, found, wanted)| found != wanted) {
        return StreamCheck::Refuse(conflict);
    }
    let same = found.max_bytes == wanted.max_bytes
        && found.duplicate_window == wanted.duplicate_window
        && found.max_messages_per_subject == wanted.max_messages_per_subject
        && found.allow_rollup == wanted.allow_rollup
        && found.allow_message_ttl == wanted.allow_message_ttl
        && found.allow_atomic_publish == wanted.allow_atomic_publish
        && found.republish == wanted.republish;
    if same {
        StreamCheck::Good
    } else {
        StreamCheck::Update
    }
}

fn fixed<T: std::fmt::Debug>(setting: &'static str, found: &T, wanted: &T) -> Conflict {
    (setting, format!("{found:?}"), format!("{wanted:?}"))
}

fn sorted(config: &Config) -> Vec<String> {
    let mut subjects = config.subjects.clone();
    subjects.sort();
    subjects
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_limits_are_updates_and_changed_replicas_are_refused() {
        let names = Names::new("HOOKRAIL");
        let settings = BrokerSettings::default();
        let wanted = raw(&names, &settings, 0).config;
        let larger = Config {
            max_bytes: wanted.max_bytes + 1,
            ..wanted.clone()
        };
        let copied = Config {
            num_replicas: 3,
            ..wanted.clone()
        };
        assert_eq!(check_stream(&wanted, &wanted), StreamCheck::Good);
        assert_eq!(check_stream(&larger, &wanted), StreamCheck::Update);
        let conflict = ("replicas", "3".to_owned(), "1".to_owned());
        assert_eq!(check_stream(&copied, &wanted), StreamCheck::Refuse(conflict));
    }

    #[test]
    fn every_partition_has_its_streams_and_every_stream_refuses_when_full() {
        let settings = BrokerSettings {
            partitions: 6,
            ..BrokerSettings::default()
        };
        let plans = all_streams(&Names::new("HOOKRAIL"), &settings);
        assert_eq!(plans.len(), 6 * 2 + 4 + 7);
        for plan in plans {
            assert_eq!(plan.config.discard, DiscardPolicy::New, "{}", plan.config.name);
            assert!(plan.config.max_bytes > 0, "{}", plan.config.name);
            assert!(!plan.config.subjects.is_empty(), "{}", plan.config.name);
        }
    }
}
