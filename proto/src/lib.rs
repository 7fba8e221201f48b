//! Hookrail's contracts: what its services write for each other, version 1.
//!
//! Generated from `hookrail/v1/*.proto`. Fields are added, never renumbered or reused; the bytes in
//! `golden/` are of every released message and stay decodable.

#![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated code")]

/// Version 1.
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/hookrail.v1.rs"));
}
