//! Reading what a decoder gives, step by step, within a limit and within what memory there is.

use std::io::Read;

use super::DecodeError;
use crate::byte_budget::Reserved;

/// Bytes that are decoded before limit and memory are looked at again.
const STEP_BYTES: u64 = 64 * 1024;

/// Reads all of `decoder`, at most `limit` bytes.
pub(super) fn read_limited(
    decoder: impl Read,
    limit: usize,
    reserved: &mut Reserved,
) -> Result<Vec<u8>, DecodeError> {
    let mut decoded = Vec::new();
    append_limited(decoder, &mut decoded, limit, reserved)?;
    Ok(decoded)
}

/// Reads all of `decoder` to the end of `decoded`, which may have `limit` bytes then.
pub(super) fn append_limited(
    mut decoder: impl Read,
    decoded: &mut Vec<u8>,
    limit: usize,
    reserved: &mut Reserved,
) -> Result<(), DecodeError> {
    loop {
        let before = decoded.len();
        let step = STEP_BYTES.min((limit - before) as u64 + 1);
        let read = decoder.by_ref().take(step).read_to_end(decoded);
        read.map_err(|error| DecodeError::Malformed(error.to_string()))?;
        let read = decoded.len() - before;
        if decoded.len() > limit {
            return Err(DecodeError::TooLarge);
        }
        if !reserved.grow(read) {
            return Err(DecodeError::NoMemory);
        }
        if (read as u64) < step {
            return Ok(());
        }
    }
}
