use std::io::Write;

use data_encoding::BASE64;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;

const MIB: usize = 1024 * 1024;
/// `{"hello":"brotli","n":[1,2,3]}` three times, as Node.js encodes it.
const BROTLI: &str = "G1kA+K2OdxJvGCEt90lVM7/ci+krMbdk0elqkS05uiUzk2lsbzXJVdVCMvi6xH5QhQ8=";
/// The same with a window of 2^30, which the format's extension for large windows allows.
const BROTLI_LARGE_WINDOW: &str = "EV5kAeC3Ot5JvGGEtNwnVc38ci+mr8TckkWnq0W25OiWzEymsb3VJFdVC5KBr0vsB1X4AA==";
/// 64 MiB of zeros, as Node.js encodes it.
const BROTLI_BOMB: &str = "z///f/gnAOKxQCD3/p/////wTwDEYQGA7v0/////4Z8AiMMiAN37//z//8c/ARCHBQC69/8=";
/// `{"hello":"zstd","n":[1,2,3]}`, as the zstd program encodes it, with its checksum.
const ZSTD: &str = "KLUv/QRo4QAAeyJoZWxsbyI6InpzdGQiLCJuIjpbMSwyLDNdfXJ58ak=";
/// The same with a window of 128 MiB (`--long=27`).
const ZSTD_LARGE_WINDOW: &str = "KLUv/QSI4QAAeyJoZWxsbyI6InpzdGQiLCJuIjpbMSwyLDNdfXJ58ak=";

fn base64(text: &str) -> Vec<u8> {
    BASE64.decode(text.as_bytes()).unwrap()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A zstd frame of `blocks` times 128 KiB of zeros, four bytes each (RFC 8878, section 3.1.1.2).
fn zstd_bomb(blocks: usize) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50];
    for block in 1..=blocks {
        let header = u32::from(block == blocks) | 1 << 1 | (128 * 1024) << 3;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

fn undo(header: &str, body: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    let codings = Codings::of([header].into_iter()).expect("it is supported");
    let mut reserved = ByteBudget::new(usize::MAX).reserve();
    undo_all(&codings.0, body.to_vec().into(), limit, &mut reserved).map(|body| body.to_vec())
}

fn check(header: &str, body: &[u8], expected: &[u8]) {
    assert_eq!(
        undo(header, body, expected.len()).as_deref(),
        Ok(expected),
        "{header}"
    );
    let over = undo(header, body, expected.len() - 1);
    assert_eq!(over, Err(DecodeError::TooLarge), "{header}");
}

fn check_malformed(header: &str, body: &[u8]) {
    let undone = undo(header, body, 1000);
    assert!(
        matches!(undone, Err(DecodeError::Malformed(_))),
        "{header}: {undone:?}"
    );
}

#[test]
fn each_coding_is_undone_up_to_the_limit_and_no_further() {
    let brotli = br#"{"hello":"brotli","n":[1,2,3]}"#.repeat(3);
    check("br", &base64(BROTLI), &brotli);
    let zstd = br#"{"hello":"zstd","n":[1,2,3]}"#;
    check("zstd", &base64(ZSTD), zstd);
    check("ZSTD", &[base64(ZSTD), base64(ZSTD)].concat(), &zstd.repeat(2));
    let skippable = [b"\x51\x2a\x4d\x18\x02\0\0\0xy".as_slice(), &base64(ZSTD)].concat();
    check("zstd", &skippable, zstd);
    let long = vec![b'a'; 300_000];
    check("gzip", &gzip(&long), &long);
    check("x-gzip", &[gzip(b"one"), gzip(b" two")].concat(), b"one two");
    check("deflate", &zlib(&long), &long);
    check("deflate", &raw_deflate(&long), &long);
    check("deflate", &raw_deflate(b"{}"), b"{}");
}

#[test]
fn several_codings_are_undone_in_reverse() {
    check("deflate, gzip", &gzip(&zlib(b"{\"a\":1}")), b"{\"a\":1}");
    let brotli = br#"{"hello":"brotli","n":[1,2,3]}"#.repeat(3);
    check(
        "br, identity, deflate,gzip",
        &gzip(&raw_deflate(&base64(BROTLI))),
        &brotli,
    );
    check_malformed("gzip, deflate", &gzip(&zlib(b"{\"a\":1}")));
}

#[test]
fn a_bomb_of_each_coding_ends_at_the_limit() {
    let zeros = gzip(&vec![0; 64 * MIB]);
    let bombs: [(&str, Vec<u8>); 5] = [
        ("gzip", zeros.clone()),
        ("deflate", zlib(&vec![0; 64 * MIB])),
        ("br", base64(BROTLI_BOMB)),
        ("zstd", zstd_bomb(512)),
        ("gzip, gzip", gzip(&zeros)),
    ];
    for (header, bomb) in bombs {
        assert_eq!(undo(header, &bomb, MIB), Err(DecodeError::TooLarge), "{header}");
    }
    // What lies between two codings is bounded too, though nothing comes of it.
    let nothing = gzip(b"").repeat(MIB / 10);
    assert_eq!(
        undo("gzip, gzip", &gzip(&nothing), MIB),
        Err(DecodeError::TooLarge)
    );
}

#[test]
fn decoding_takes_no_more_memory_than_there_is() {
    let codings = Codings::of(["br"].into_iter()).unwrap();
    let budget = ByteBudget::new(MIB);
    let mut reserved = budget.reserve();
    let undone = undo_all(&codings.0, base64(BROTLI_BOMB).into(), 64 * MIB, &mut reserved);
    assert_eq!(undone, Err(DecodeError::NoMemory));
    assert!(budget.taken() <= 2 * MIB, "{}", budget.taken());
}

#[test]
fn what_is_cut_or_followed_by_something_is_refused() {
    for (header, whole) in [
        ("gzip", gzip(b"hello")),
        ("deflate", zlib(b"hello")),
        ("deflate", raw_deflate(b"hello")),
        ("br", base64(BROTLI)),
        ("zstd", base64(ZSTD)),
    ] {
        for end in [whole.len() - 3, whole.len() / 2, 1, 0] {
            check_malformed(header, &whole[..end]);
        }
        check_malformed(header, &[&whole, b"x".as_slice()].concat());
        check_malformed(header, b"{\"no\":\"encoding\"}");
    }
}

#[test]
fn windows_beyond_what_the_formats_allow_are_refused() {
    check_malformed("br", &base64(BROTLI_LARGE_WINDOW));
    check_malformed("zstd", &base64(ZSTD_LARGE_WINDOW));
    // A frame that says to have a content of 1 GiB, in one segment.
    let huge = b"\x28\xb5\x2f\xfd\xa0\0\0\0\x40\x01\0\0";
    assert_eq!(undo("zstd", huge, MIB), Err(DecodeError::TooLarge));
}

#[test]
fn encodings_are_known_by_name_whatever_the_case() {
    let check = |headers: &[&str], expected: Option<&[Coding]>| {
        let codings = Codings::of(headers.iter().copied());
        assert_eq!(
            codings,
            expected.map(|codings| Codings(codings.to_vec())),
            "{headers:?}"
        );
    };
    check(&[], Some(&[]));
    check(&["", " identity "], Some(&[]));
    check(&[" GZIP "], Some(&[Coding::Gzip]));
    check(
        &["br,gzip", "zstd"],
        Some(&[Coding::Brotli, Coding::Gzip, Coding::Zstd]),
    );
    check(&["gzip, gzip, gzip, gzip"], None);
    check(&["compress"], None);
    check(&["gzip, aws-chunked"], None);
}
