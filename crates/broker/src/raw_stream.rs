//! A raw partition as the event log: looked into, searched, and trimmed by its owner.

use std::time::Duration;

use async_nats::datetime::from_nanos;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use futures::TryStreamExt;
use hookrail_domain::Millis;

use crate::connection::Broker;
use crate::error::BrokerError;
use crate::look::{Look, LookPlan};
use crate::message::{MessageHeaders, RawMessage, event_id, last_token, milliseconds};

/// How far before its id's time an event may have been stored, by clocks that differ.
const FIND_BEFORE_MS: Millis = 2_000;
/// How far after its id's time an event may have been stored: publish retries and clocks.
const FIND_AFTER_MS: Millis = 10_000;
/// How many messages a search looks at.
const FIND_SCAN_MAX: usize = 100_000;
/// How long a search may take.
const FIND_TIME_MAX: Duration = Duration::from_secs(5);
/// How many headers a search has on the way.
const FIND_WINDOW: usize = 1_000;
/// The most sources whose events one partition tells of.
const SOURCES_MAX: usize = 100_000;

/// A queued event, as far as its headers and its place tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedEvent {
    /// Its place in the partition.
    pub sequence: u64,
    /// The token of its source, or of its workspace where it was posted.
    pub source: String,
    /// Its id.
    pub event_id: String,
}

impl Broker {
    /// Removes all events up to and including a sequence. Gives how many there were.
    pub async fn trim_raw(&self, partition: u32, up_to_sequence: u64) -> Result<u64, BrokerError> {
        let stream = self.raw(partition).await?;
        stream
            .purge()
            .sequence(up_to_sequence + 1)
            .await
            .map(|answer| answer.purged)
            .map_err(|error| BrokerError::request(format!("trimming raw partition {partition}"), error))
    }

    /// One event, asked from the leader; none if it was trimmed or never there.
    pub async fn raw_get(&self, partition: u32, sequence: u64) -> Result<Option<RawMessage>, BrokerError> {
        match self.raw(partition).await?.get_raw_message(sequence).await {
            Ok(message) => Ok(Some(RawMessage {
                sequence: message.sequence,
                timestamp_ms: milliseconds(message.time),
                source: last_token(&message.subject),
                headers: MessageHeaders::read(Some(&message.headers)),
                payload: message.payload,
            })),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(BrokerError::request(
                format!("event {sequence} of raw partition {partition}"),
                error,
            )),
        }
    }

    /// The sequence of the last event of a partition; 0 where it never had one.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub async fn raw_last_sequence(&self, partition: u32) -> Result<u64, BrokerError> {
        self.last_sequence(&self.names().raw_stream(partition)).await
    }

    /// Removes the events of one source up to and including a sequence. Gives how many there were.
    ///
    /// # Errors
    /// The broker can't be asked now; they may be gone.
    pub async fn trim_raw_source(
        &self,
        partition: u32,
        source: &str,
        up_to_sequence: u64,
    ) -> Result<u64, BrokerError> {
        let stream = self.raw(partition).await?;
        let purge = stream
            .purge()
            .filter(self.names().raw_subject(partition, source))
            .sequence(up_to_sequence + 1);
        let failed =
            |error| BrokerError::request(format!("trimming {source} in raw partition {partition}"), error);
        purge.await.map(|answer| answer.purged).map_err(failed)
    }

    /// The tokens of the sources that have events in a partition, at most 100,000 of them.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub async fn raw_sources(&self, partition: u32) -> Result<Vec<String>, BrokerError> {
        let what = || format!("the sources in raw partition {partition}");
        let stream = self.raw(partition).await?;
        let listed = stream
            .info_with_subjects(self.names().raw_subjects(partition))
            .await;
        let mut listed = listed.map_err(|error| BrokerError::request(what(), error))?;
        let mut sources = Vec::new();
        while let Some((subject, _)) = listed
            .try_next()
            .await
            .map_err(|error| BrokerError::request(what(), error))?
            && sources.len() < SOURCES_MAX
        {
            sources.push(last_token(&subject));
        }
        Ok(sources)
    }

    /// The sequence from which on events were stored at or after a time: all below it are older. The last
    /// sequence + 1 where all are.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub async fn raw_since(&self, partition: u32, time: Millis) -> Result<u64, BrokerError> {
        let look = self.look_at_raw(partition, since(time)?, &[]).await?;
        let first = look.first_sequence();
        look.close().await;
        Ok(first)
    }

    /// Finds an event by its id: looks at the headers of what was stored around the id's time.
    /// None also when there was too much to look at.
    pub async fn find_event(
        &self,
        partition: u32,
        event_id: &str,
        created_at_ms: Millis,
    ) -> Result<Option<RawMessage>, BrokerError> {
        let from = since(created_at_ms - FIND_BEFORE_MS)?;
        let mut look = self.look_at_raw(partition, from, &[]).await?;
        let scan = scan(&mut look, event_id, created_at_ms + FIND_AFTER_MS);
        let found = tokio::time::timeout(FIND_TIME_MAX, scan).await;
        look.close().await;
        match found {
            Ok(Ok(Some(sequence))) => self.raw_get(partition, sequence).await,
            Ok(Ok(None)) | Err(_) => Ok(None),
            Ok(Err(error)) => Err(error),
        }
    }

    /// How many events of a source lie above a sequence, exactly. `source` is the source's id.
    pub async fn pending_by_source(
        &self,
        partition: u32,
        source: &str,
        after_sequence: u64,
    ) -> Result<u64, BrokerError> {
        let sources = [source.to_owned()];
        let look = self
            .look_at_raw(partition, after(after_sequence), &sources)
            .await?;
        let ahead = look.ahead();
        look.close().await;
        Ok(ahead)
    }

    /// The events above a sequence, of these sources (none = of all), in their order. Where there are more
    /// than `most`, none are read, and their number is the error.
    ///
    /// # Errors
    /// The broker can't be asked now.
    pub async fn queued_events(
        &self,
        partition: u32,
        sources: &[String],
        after_sequence: u64,
        most: u64,
    ) -> Result<Result<Vec<QueuedEvent>, u64>, BrokerError> {
        let mut look = self
            .look_at_raw(partition, after(after_sequence), sources)
            .await?;
        let ahead = look.ahead();
        let read = match ahead > most {
            true => Ok(Err(ahead)),
            false => read_queued(&mut look, ahead).await.map(Ok),
        };
        look.close().await;
        read
    }

    async fn raw(&self, partition: u32) -> Result<Stream<()>, BrokerError> {
        self.stream_ref(&self.names().raw_stream(partition)).await
    }

    async fn look_at_raw(
        &self,
        partition: u32,
        from: DeliverPolicy,
        sources: &[String],
    ) -> Result<Look, BrokerError> {
        let filters = sources
            .iter()
            .map(|source| self.names().raw_subject(partition, source));
        let plan = LookPlan {
            stream: self.names().raw_stream(partition),
            from,
            filters: filters.collect(),
            headers_only: true,
            window_messages: FIND_WINDOW,
        };
        Look::open(self, plan).await
    }
}

fn after(sequence: u64) -> DeliverPolicy {
    DeliverPolicy::ByStartSequence {
        start_sequence: sequence + 1,
    }
}

fn since(time: Millis) -> Result<DeliverPolicy, BrokerError> {
    let start_time = from_nanos(i128::from(time.max(0)) * 1_000_000);
    let start_time = start_time.map_err(|error| BrokerError::request("an event's time", error))?;
    Ok(DeliverPolicy::ByStartTime { start_time })
}

async fn scan(look: &mut Look, wanted: &str, until_ms: Millis) -> Result<Option<u64>, BrokerError> {
    let scan_max = usize::try_from(look.ahead())
        .unwrap_or(usize::MAX)
        .min(FIND_SCAN_MAX);
    for _ in 0..scan_max {
        let Some((message, delivered)) = look.next().await? else {
            break;
        };
        if delivered.timestamp_ms > until_ms {
            break;
        }
        if event_id(message.headers.as_ref()) == Some(wanted) {
            return Ok(Some(delivered.stream_sequence));
        }
    }
    Ok(None)
}

async fn read_queued(look: &mut Look, count: u64) -> Result<Vec<QueuedEvent>, BrokerError> {
    let mut events = Vec::new();
    for _ in 0..count {
        let Some((message, delivered)) = look.next().await? else {
            break;
        };
        let Some(event_id) = event_id(message.headers.as_ref()) else {
            continue;
        };
        events.push(QueuedEvent {
            sequence: delivered.stream_sequence,
            source: last_token(&message.subject),
            event_id: event_id.to_owned(),
        });
    }
    Ok(events)
}
