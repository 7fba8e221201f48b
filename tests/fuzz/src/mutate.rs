//! Inputs that differ a little from one another.

use rand::Rng;
use rand::rngs::StdRng;

/// Changes of one input at the most.
const CHANGES_MAX: usize = 8;
/// Largest input that is made, bytes.
const BYTES_MAX: usize = 16 * 1024;
/// How often a piece is repeated at the most, which makes what nests nest deeply.
const REPEATS_MAX: usize = 600;

/// Bytes that mean something to one parser or another.
const TOKENS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b":",
    b",",
    b"null",
    b"true",
    b"-0",
    b"1e999",
    b"0.1e-7",
    b"18446744073709551616",
    b"\"$serde_json::private::Number\"",
    b"\"$serde_json::private::RawValue\"",
    b"<",
    b">",
    b"</a>",
    b"<a>",
    b"<!DOCTYPE a [",
    b"<!ENTITY b \"c\">",
    b"&b;",
    b"&#0;",
    b"<![CDATA[",
    b"]]>",
    b"<?xml version=\"1.0\" encoding=\"utf-16\"?>",
    b"xmlns:a=\"b\"",
    b"&",
    b"=",
    b"%",
    b"%00",
    b"%zz",
    b"+",
    b"$",
    b"..",
    b"*",
    b"[?",
    b"@",
    b"==",
    b"&&",
    b"||",
    b"(",
    b")",
    b"match(",
    b"-1:",
    b"::",
    b"--x",
    b"\r\n",
    b"\r\n\r\n",
    b"name=\"a\"; filename=\"b\"",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"t=",
    b"v1=",
    b".",
    b"eyJ",
];

/// An input made of `input`, and now and then a part of `other`.
pub fn mutate(random: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut made = input.to_vec();
    for _ in 0..random.random_range(1..=CHANGES_MAX) {
        change(random, &mut made, other);
    }
    made.truncate(BYTES_MAX);
    made
}

fn change(random: &mut StdRng, made: &mut Vec<u8>, other: &[u8]) {
    let at = random.random_range(0..=made.len());
    let to = random.random_range(at..=made.len().min(at + 32));
    match random.random_range(0..8) {
        0 if at < made.len() => made[at] = random.random(),
        1 if at < made.len() => made[at] ^= 1 << random.random_range(0..8),
        2 => drop(made.drain(at..to)),
        3 => made.truncate(at),
        4 => {
            let token = TOKENS[random.random_range(0..TOKENS.len())];
            drop(made.splice(at..at, token.iter().copied()));
        }
        5 => {
            let token = TOKENS[random.random_range(0..TOKENS.len())];
            drop(made.splice(at..to, token.iter().copied()));
        }
        6 => {
            let piece = made[at..to].to_vec();
            let repeated = piece.repeat(random.random_range(1..=REPEATS_MAX));
            drop(made.splice(at..at, repeated));
        }
        _ => {
            let from = random.random_range(0..=other.len());
            drop(made.splice(at..to, other[from..].iter().copied()));
        }
    }
}
