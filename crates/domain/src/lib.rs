//! Hookrail's domain: definitions, events, filters, entities, deliveries, lanes.
//!
//! Pure: facts and the time go in, decisions come out. Nothing here reads a clock, draws random
//! numbers, or talks to a network, a disk or a database; that is what the other crates are for.

pub mod api_key;
pub mod body_rules;
pub mod circuit;
pub mod connection;
pub mod delivery;
pub mod destination;
pub mod entity;
pub mod event;
pub mod event_type;
pub mod fetcher;
pub mod filter;
pub mod handshake;
pub mod held_limit;
pub mod ids;
pub mod import;
pub mod internal_event;
pub mod journal;
pub mod json;
pub mod jsonpath;
pub mod jwt;
pub mod lane;
pub mod large_body;
pub mod mapping;
pub mod ordering;
pub mod ordering_key;
pub mod ownership;
pub mod partition;
pub mod payload;
pub mod plan;
pub mod rate_limit;
pub mod render;
pub mod replay;
pub mod respond;
pub mod retention;
pub mod retry;
pub mod route;
pub mod secret;
pub mod short_id;
pub mod signature;
pub mod snapshot;
pub mod source;
pub mod suggestions;
pub mod sync;
pub mod token_bucket;
pub mod validation;
pub mod wellformed;
pub mod workspace;

/// Milliseconds since the Unix epoch, UTC.
pub type Millis = i64;
