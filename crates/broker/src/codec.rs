//! Contracts (`hookrail_proto`) to domain types and back.
//!
//! Here the bytes of other services are checked once; what comes out is a domain type. Words that
//! the API has too (`hmac-sha256`, `snake_case` modes) are the same words in the contracts.

mod command;
mod connection;
mod delivery;
mod destination;
mod entry;
mod event;
mod fetcher;
mod journal;
mod parked;
mod response;
mod route;
mod source;
mod words;

pub use command::{
    Ask, OwnerAnswer, OwnerRequest, decode_owner_answer, decode_owner_request, encode_owner_answer,
    encode_owner_request,
};
pub use delivery::{decode_delivery, encode_delivery};
pub(crate) use entry::key_of_id;
pub use entry::{decode_entry, encode_entry, entry_key};
pub use event::{decode_event, encode_event};
pub use journal::{DeadLetter, decode_dead, decode_record, encode_dead, encode_record};
pub use parked::{ParkedDelivery, decode_lane_state, decode_parked, encode_lane_state, encode_parked};
pub use response::{decode_response, encode_response};

/// Bytes that are not what a contract says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct CodecError {
    /// The contract's field.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl CodecError {
    fn new(field: &'static str, reason: impl std::fmt::Display) -> CodecError {
        CodecError {
            field,
            reason: reason.to_string(),
        }
    }
}
