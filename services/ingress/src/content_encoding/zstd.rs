//! Zstandard: one frame or several, skippable ones left out. A frame's header is read here first, so
//! that no window is made that a content encoding may not ask for (RFC 9659).

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use super::DecodeError;
use super::limited::append_limited;
use crate::byte_budget::Reserved;

/// The largest window of a frame (RFC 9659, section 3), bytes.
pub(super) const WINDOW_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Frames of one body: parallel encoders make one for every few MiB.
const MAX_FRAMES: usize = 4096;
/// How a frame begins (RFC 8878, section 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How large a frame says to be.
enum Size {
    /// Its whole content, which is its window too.
    Content(u64),
    /// Its window.
    Window(u64),
}

/// Decodes a body of at most `limit` bytes.
pub(super) fn decode(body: &[u8], limit: usize, reserved: &mut Reserved) -> Result<Vec<u8>, DecodeError> {
    let (mut decoded, mut rest, mut frames) = (Vec::new(), body, 0);
    let mut decoder = FrameDecoder::new();
    while !rest.is_empty() || frames == 0 {
        frames += 1;
        if frames > MAX_FRAMES {
            return Err(malformed("it has too many frames"));
        }
        if let Some(after) = skippable(rest)? {
            rest = after;
            continue;
        }
        match size(rest).ok_or_else(|| malformed("it is no zstd frame"))? {
            Size::Content(bytes) if bytes > limit as u64 => return Err(DecodeError::TooLarge),
            Size::Window(bytes) if bytes > WINDOW_MAX_BYTES as u64 => {
                return Err(malformed("its window is larger than 8 MiB"));
            }
            Size::Content(_) | Size::Window(_) => {}
        }
        let frame = StreamingDecoder::new_with_decoder(&mut rest, &mut decoder);
        let frame = frame.map_err(|error| malformed(&error.to_string()))?;
        append_limited(frame, &mut decoded, limit, reserved)?;
    }
    Ok(decoded)
}

fn malformed(reason: &str) -> DecodeError {
    DecodeError::Malformed(reason.to_owned())
}

/// What follows a skippable frame (RFC 8878, section 3.1.2), where `rest` begins with one.
fn skippable(rest: &[u8]) -> Result<Option<&[u8]>, DecodeError> {
    let [kind, 0x2a, 0x4d, 0x18, after @ ..] = rest else {
        return Ok(None);
    };
    if kind & 0xf0 != 0x50 {
        return Ok(None);
    }
    let cut = || malformed("it ends too early");
    let (size, content) = after.split_first_chunk::<4>().ok_or_else(cut)?;
    let size = usize::try_from(u32::from_le_bytes(*size)).map_err(|_| cut())?;
    content.get(size..).map(Some).ok_or_else(cut)
}

/// How large the frame says to be (RFC 8878, section 3.1.1.1).
fn size(frame: &[u8]) -> Option<Size> {
    let header = frame.strip_prefix(&MAGIC)?;
    let (descriptor, header) = header.split_first()?;
    let is_single_segment = descriptor & 0x20 != 0;
    if !is_single_segment {
        let window = header.first()?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(Size::Window(base + base / 8 * u64::from(window & 7)));
    }
    let after_dictionary = header.get([0, 1, 2, 4][usize::from(descriptor & 3)]..)?;
    let field = |bytes: usize| {
        let field = after_dictionary.get(..bytes)?;
        Some(
            field
                .iter()
                .rev()
                .fold(0, |size, byte| size << 8 | u64::from(*byte)),
        )
    };
    Some(Size::Content(match descriptor >> 6 {
        0 => field(1)?,
        1 => field(2)? + 256,
        2 => field(4)?,
        _ => field(8)?,
    }))
}
