//! Content encodings as senders make them. Brotli and Zstandard are stored, not compressed: valid streams
//! of any size, without an encoder; and bombs of each, which are a few bytes for each of many.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

/// Bytes of one stored block of Brotli, and of one block of Zstandard.
const BROTLI_BLOCK: usize = 64 * 1024;
const ZSTD_BLOCK: usize = 128 * 1024;
/// The head of a Zstandard frame with a window of 2 MiB.
const ZSTD_HEAD: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
/// 64 MiB of zeros in Brotli, as an encoder made it.
const BROTLI_BOMB: [u8; 53] = [
    207, 255, 255, 127, 248, 39, 0, 226, 177, 64, 32, 247, 254, 159, 255, 255, 255, 240, 79, 0, 196, 97, 1,
    128, 238, 253, 63, 255, 255, 255, 225, 159, 0, 136, 195, 34, 0, 221, 251, 255, 252, 255, 255, 199, 63, 1,
    16, 135, 5, 0, 186, 247, 255,
];

/// A body under a `Content-Encoding`: gzip, deflate (in the zlib format), deflate-raw (without it), br,
/// zstd; any other is left as it is.
pub fn encode(encoding: &str, body: &[u8]) -> Vec<u8> {
    let written = "writing into memory works";
    match encoding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(body).expect(written);
            encoder.finish().expect(written)
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(body).expect(written);
            encoder.finish().expect(written)
        }
        "deflate-raw" => {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(body).expect(written);
            encoder.finish().expect(written)
        }
        "br" => brotli(body),
        "zstd" => zstd(body),
        _ => body.to_vec(),
    }
}

/// 64 MiB of zeros, in a few kilobytes, under gzip, deflate, br or zstd.
pub fn bomb(encoding: &str) -> Vec<u8> {
    const BYTES: usize = 64 * 1024 * 1024;
    match encoding {
        "br" => BROTLI_BOMB.to_vec(),
        "zstd" => {
            let mut frame = ZSTD_HEAD.to_vec();
            let blocks = BYTES / ZSTD_BLOCK;
            for block in 1..=blocks {
                // One byte that is repeated (RFC 8878, section 3.1.1.2).
                zstd_block(&mut frame, block == blocks, 1, ZSTD_BLOCK);
                frame.push(0);
            }
            frame
        }
        other => encode(other, &vec![0; BYTES]),
    }
}

/// Uncompressed meta-blocks (RFC 7932, section 9.2) in a window of 64 KiB.
fn brotli(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + body.len() / 1000 + 8);
    let mut is_first = true;
    for block in body.chunks(BROTLI_BLOCK) {
        let size = u32::try_from(block.len() - 1).expect("a block is small");
        // Not the last, four nibbles of size, the size, uncompressed; before the first one the window.
        let bits = size << 3 | 1 << 19;
        let bits = if is_first { bits << 1 } else { bits };
        out.extend_from_slice(&bits.to_le_bytes()[..3]);
        out.extend_from_slice(block);
        is_first = false;
    }
    out.push(if is_first { 0x06 } else { 0x03 });
    out
}

/// One frame of raw blocks.
fn zstd(body: &[u8]) -> Vec<u8> {
    let mut frame = ZSTD_HEAD.to_vec();
    let blocks: Vec<&[u8]> = body.chunks(ZSTD_BLOCK).collect();
    for (index, block) in blocks.iter().enumerate() {
        zstd_block(&mut frame, index + 1 == blocks.len(), 0, block.len());
        frame.extend_from_slice(block);
    }
    if blocks.is_empty() {
        zstd_block(&mut frame, true, 0, 0);
    }
    frame
}

fn zstd_block(frame: &mut Vec<u8>, is_last: bool, kind: u32, size: usize) {
    let size = u32::try_from(size).expect("a block is small");
    let header = u32::from(is_last) | kind << 1 | size << 3;
    frame.extend_from_slice(&header.to_le_bytes()[..3]);
}
