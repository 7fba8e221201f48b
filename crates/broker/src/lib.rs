//! Everything that Hookrail does with NATS JetStream.
//!
//! The only crate that knows async-nats, and the only place with stream, subject, consumer and key
//! names. It moves bytes and says what happened to them; what a message means is decided by the
//! domain crate, and what to do about it by the services.

mod boot_clock;
pub mod codec;
mod command;
mod connection;
mod delivered;
mod delivery_acker;
mod delivery_lag;
mod delivery_reader;
mod delivery_stream;
mod error;
mod fence;
mod group_consumer;
mod heartbeat;
mod install;
mod journal;
mod key_value;
mod late_key;
mod lease;
mod message;
mod names;
mod notice;
mod owner_keys;
mod ownership;
mod ownership_loop;
mod parked_find;
mod parked_load;
mod parked_read;
mod parked_room;
mod parked_store;
mod parked_writer;
mod poison;
mod publish;
mod pull;
mod random;
mod raw_reader;
mod raw_stream;
mod responder;
mod response_watch;
mod responses;
mod settings;
mod snapshot_feed;
mod stream_plan;
mod topology;

pub use command::{AskError, Asked, OwnerRequests};
pub use connection::Broker;
pub use delivery_acker::DeliveryAcker;
pub use delivery_reader::{DeliveryMessage, DeliveryReader};
pub use error::{BrokerError, ReaderError};
pub use install::{INSTALL_FORMAT_VERSION, Install};
pub use journal::{JournalKind, JournalMessage, JournalReader, JournalStream};
pub use lease::Lease;
pub use message::{MessageHeaders, RawMessage};
pub use names::Names;
pub use notice::{Notice, NoticeKind, NoticeReader};
pub use ownership::{HandOver, Ownership, OwnershipChange, OwnershipSettings};
pub use parked_load::FoundParked;
pub use parked_read::StoredParked;
pub use parked_store::{Append, ParkedStore};
pub use poison::{FoundMark, PoisonMark};
pub use publish::{OutMessage, PublishError, Published, Publisher};
pub use raw_reader::RawReader;
pub use raw_stream::RawState;
pub use responder::{Answered, Responder};
pub use response_watch::{ResponseWatch, Told};
pub use responses::Noted;
pub use settings::{BrokerSettings, StreamLimits};
pub use snapshot_feed::{SnapshotFeed, SnapshotReader};
