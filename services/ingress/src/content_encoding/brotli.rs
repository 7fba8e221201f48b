//! Brotli. Windows are those of the format, 16 MiB at the most: the larger ones of its extension, which the
//! decoder would make, are refused.

use std::io::{self, ErrorKind, Read};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

/// The largest window of the format (RFC 7932, section 9.1), bytes.
pub(super) const WINDOW_BYTES: usize = 16 * 1024 * 1024;

/// How a stream with a larger window begins, in its first seven bits: the format has no such window (RFC
/// 7932, section 9.1).
const LARGE_WINDOW: u8 = 0x11;

/// Decodes to the stream's own end, and wants the input to end there too.
pub(super) struct Decoder<'a> {
    input: &'a [u8],
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    is_large: bool,
    ended: bool,
    total: usize,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        let alloc = StandardAlloc::default;
        Self {
            input,
            state: BrotliState::new(alloc(), alloc(), alloc()),
            is_large: input.first().is_some_and(|first| first & 0x7f == LARGE_WINDOW),
            ended: false,
            total: 0,
        }
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ended || out.is_empty() {
            return Ok(0);
        }
        if self.is_large {
            let reason = "its window is larger than the format allows";
            return Err(io::Error::new(ErrorKind::InvalidData, reason));
        }
        let (mut available_in, mut read) = (self.input.len(), 0);
        let (mut available_out, mut written) = (out.len(), 0);
        let result = BrotliDecompressStream(
            &mut available_in,
            &mut read,
            self.input,
            &mut available_out,
            &mut written,
            out,
            &mut self.total,
            &mut self.state,
        );
        self.input = &self.input[read..];
        let wrong = |kind, reason| Err(io::Error::new(kind, reason));
        match result {
            BrotliResult::ResultSuccess if !self.input.is_empty() => {
                wrong(ErrorKind::InvalidData, "something follows its end")
            }
            BrotliResult::ResultSuccess => {
                self.ended = true;
                Ok(written)
            }
            BrotliResult::NeedsMoreOutput => Ok(written),
            // All of the input was given.
            BrotliResult::NeedsMoreInput if written > 0 => Ok(written),
            BrotliResult::NeedsMoreInput => wrong(ErrorKind::UnexpectedEof, "it ends too early"),
            BrotliResult::ResultFailure => wrong(ErrorKind::InvalidData, "it is not brotli"),
        }
    }
}
