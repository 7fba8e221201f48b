//! Every parser that strangers' bytes reach, against bytes that are hard to bear.
//!
//! A target takes any bytes, as libFuzzer's do, and panics where a promise is broken. What was found once
//! stays in `corpus/`, which is tried first ever after. Mutations are blind: coverage is not measured.

pub mod corpus;
pub mod mutate;
pub mod parsers;
pub mod targets;

/// The seed of a run where none is given.
pub const SEED: u64 = 1;
