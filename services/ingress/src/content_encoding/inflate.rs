//! gzip and deflate.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

/// The compression method of the zlib format, in the lower half of its first byte (RFC 1950, section 2.2).
const ZLIB_METHOD: u8 = 8;

/// A decoder of one gzip member or several; what follows the last one is an error.
pub(super) fn gzip(body: &[u8]) -> impl Read {
    MultiGzDecoder::new(body)
}

/// A decoder of `deflate`: in the zlib format, or without it.
///
/// No content begins as the format does: its first bit would say "stored, not the last block", after
/// which the rest of the byte is padding, which is zero.
pub(super) fn deflate(body: &[u8]) -> impl Read {
    let is_zlib = body.first().is_some_and(|first| first & 0x0f == ZLIB_METHOD);
    Inflate {
        input: body,
        state: Decompress::new(is_zlib),
        ended: false,
    }
}

/// Decodes to the stream's own end, and wants the input to end there too.
struct Inflate<R> {
    input: R,
    state: Decompress,
    ended: bool,
}

impl<R: BufRead> Inflate<R> {
    /// One step; the number of bytes that it gave.
    fn step(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let input = self.input.fill_buf()?;
        let is_over = input.is_empty();
        let (read_before, written_before) = (self.state.total_in(), self.state.total_out());
        let status = self.state.decompress(input, out, FlushDecompress::None)?;
        let read = (self.state.total_in() - read_before) as usize;
        let written = (self.state.total_out() - written_before) as usize;
        self.input.consume(read);
        self.ended = status == Status::StreamEnd;
        if is_over && written == 0 && !self.ended {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "it ends too early"));
        }
        Ok(written)
    }
}

impl<R: BufRead> Read for Inflate<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.ended && !out.is_empty() {
            let written = self.step(out)?;
            if written > 0 {
                return Ok(written);
            }
        }
        if self.ended && !self.input.fill_buf()?.is_empty() {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                "something follows its end",
            ));
        }
        Ok(0)
    }
}
