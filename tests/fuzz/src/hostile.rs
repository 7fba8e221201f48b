//! Requests that are hard to bear, each with the answers that are right.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use hookrail_fuzz::mutate::mutate;
use rand::Rng;
use rand::rngs::StdRng;

/// The limit of the bodies at the sources that are written to, bytes.
pub(crate) const BODY_MAX_BYTES: usize = 1_048_576;

/// A request, and what may be answered.
pub(crate) struct Hostile {
    pub(crate) kind: &'static str,
    pub(crate) pieces: Vec<Vec<u8>>,
    pub(crate) pause: Duration,
    /// The sending side is closed after the last piece.
    pub(crate) is_cut: bool,
    pub(crate) right: Right,
}

/// Which answers are right.
#[derive(Clone, Copy)]
pub(crate) enum Right {
    /// One of these; 0 = the connection is closed, which is all that is left where the framing is broken.
    These(&'static [u16]),
    /// Accepted, or refused as the sender's fault.
    AcceptedOrTheirFault,
}

impl Right {
    pub(crate) fn holds(self, status: u16) -> bool {
        match self {
            Self::These(statuses) => statuses.contains(&status),
            Self::AcceptedOrTheirFault => status == 0 || status == 202 || (400..500).contains(&status),
        }
    }
}

/// A kind of request, and how many of a hundred are of it.
type Kind = (u32, fn(&mut StdRng) -> Hostile);

/// All kinds, the cheap ones more often.
const KINDS: &[Kind] = &[
    (26, mutated_request),
    (26, mutated_body),
    (9, truncated_body),
    (3, oversized_body),
    (9, wrong_encoding),
    (6, header_flood),
    (4, deep_nesting),
    (4, zip_bomb),
    (6, private_keys),
    (6, contradicting_framing),
    (1, slow),
];

/// The next request.
pub(crate) fn draw(random: &mut StdRng) -> Hostile {
    let all: u32 = KINDS.iter().map(|(weight, _)| weight).sum();
    let mut place = random.random_range(0..all);
    for (weight, make) in KINDS {
        if place < *weight {
            return make(random);
        }
        place -= weight;
    }
    mutated_body(random)
}

fn of_kind(kind: &'static str, request: Vec<u8>, right: Right) -> Hostile {
    Hostile {
        kind,
        pieces: vec![request],
        pause: Duration::ZERO,
        is_cut: false,
        right,
    }
}

/// A request with this head and body, and its length.
fn request(content_type: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut made = format!(
        "POST /default/hostile HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\n\
         content-length: {}\r\nconnection: close\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    made.extend_from_slice(body);
    made
}

const BODIES: &[(&str, &[u8])] = &[
    (
        "application/json",
        br#"{"id":820982911946154508,"email":"a@example.com","items":[1.10,null,{"a":"\u00e9"}]}"#,
    ),
    (
        "application/xml",
        b"<?xml version=\"1.0\"?><order id=\"1\"><item>a</item><item>b &amp; c</item></order>",
    ),
    (
        "application/x-www-form-urlencoded",
        b"type=subscribe&data%5Bemail%5D=a%40example.com&flag",
    ),
    (
        "multipart/form-data; boundary=xx",
        b"--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--xx\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\n\r\ntext\r\n--xx--\r\n",
    ),
    ("text/plain; charset=utf-16", b"\xff\xfeh\0i\0"),
];

/// Bytes of a whole request changed anywhere.
fn mutated_request(random: &mut StdRng) -> Hostile {
    let (content_type, body) = BODIES[random.random_range(0..BODIES.len())];
    let (_, other) = BODIES[random.random_range(0..BODIES.len())];
    let whole = request(content_type, "", body);
    let changed = mutate(random, &whole, other);
    Hostile {
        is_cut: true,
        ..of_kind("mutated request", changed, Right::AcceptedOrTheirFault)
    }
}

/// Bytes of a body changed, its length right.
fn mutated_body(random: &mut StdRng) -> Hostile {
    let (content_type, body) = BODIES[random.random_range(0..BODIES.len())];
    let (_, other) = BODIES[random.random_range(0..BODIES.len())];
    let changed = mutate(random, body, other);
    of_kind(
        "mutated body",
        request(content_type, "", &changed),
        Right::These(&[202, 400]),
    )
}

/// A body that ends before its length does.
fn truncated_body(random: &mut StdRng) -> Hostile {
    let (content_type, body) = BODIES[random.random_range(0..BODIES.len())];
    let mut whole = request(content_type, "", body);
    whole.truncate(whole.len() - random.random_range(1..=body.len()));
    Hostile {
        is_cut: true,
        ..of_kind("truncated body", whole, Right::These(&[0, 400]))
    }
}

/// More than is taken: declared, or in chunks that declare nothing.
fn oversized_body(random: &mut StdRng) -> Hostile {
    let body = vec![b' '; BODY_MAX_BYTES + 1 + random.random_range(0..BODY_MAX_BYTES)];
    let right = Right::These(&[413]);
    if random.random_bool(0.5) {
        return of_kind("oversized body", request("text/plain", "", &body), right);
    }
    let mut whole = b"POST /default/hostile HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n".to_vec();
    for chunk in body.chunks(50_000) {
        whole.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        whole.extend_from_slice(chunk);
        whole.extend_from_slice(b"\r\n");
    }
    whole.extend_from_slice(b"0\r\n\r\n");
    of_kind("oversized body", whole, right)
}

/// A content encoding that the body is not in, or that nobody knows.
fn wrong_encoding(random: &mut StdRng) -> Hostile {
    let known = ["gzip", "deflate", "br", "zstd", "gzip, br"];
    let unknown = ["compress", "gzip;q=1", "aes128gcm", "gzip gzip"];
    let (_, body) = BODIES[random.random_range(0..BODIES.len())];
    let (name, right) = if random.random_bool(0.7) {
        (known[random.random_range(0..known.len())], &[400][..])
    } else {
        (unknown[random.random_range(0..unknown.len())], &[415][..])
    };
    let header = format!("content-encoding: {name}\r\n");
    let mut body = body.to_vec();
    // No encoding begins with this.
    body.splice(0..0, [0xff, 0xff, 0xff, 0xff]);
    of_kind(
        "wrong encoding",
        request("application/json", &header, &body),
        Right::These(right),
    )
}

/// More headers, or longer ones, than are taken.
fn header_flood(random: &mut StdRng) -> Hostile {
    let headers = if random.random_bool(0.5) {
        (0..random.random_range(97..5_000))
            .map(|number| format!("x-{number}: 1\r\n"))
            .collect()
    } else {
        format!("x-long: {}\r\n", "a".repeat(random.random_range(49_200..300_000)))
    };
    let whole = request("application/json", &headers, b"{}");
    of_kind("header flood", whole, Right::These(&[431]))
}

/// What nests a hundred thousand deep.
fn deep_nesting(random: &mut StdRng) -> Hostile {
    const DEEP: usize = 100_000;
    let (content_type, body) = match random.random_range(0..4) {
        0 => ("application/json", "[".repeat(DEEP) + &"]".repeat(DEEP)),
        1 => (
            "application/json",
            r#"{"a":"#.repeat(DEEP) + "1" + &"}".repeat(DEEP),
        ),
        2 => ("application/json", "[".repeat(DEEP)),
        _ => ("application/xml", "<a>".repeat(DEEP) + &"</a>".repeat(DEEP)),
    };
    of_kind(
        "deep nesting",
        request(content_type, "", body.as_bytes()),
        Right::These(&[400]),
    )
}

/// A small body that is a large one once decoded.
fn zip_bomb(random: &mut StdRng) -> Hostile {
    let zeros = vec![b' '; 40 * BODY_MAX_BYTES];
    let (name, body) = if random.random_bool(0.5) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let _in_memory = encoder.write_all(&zeros);
        ("gzip", encoder.finish().unwrap_or_default())
    } else {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        let _in_memory = encoder.write_all(&zeros);
        ("deflate", encoder.finish().unwrap_or_default())
    };
    let header = format!("content-encoding: {name}\r\n");
    of_kind(
        "zip bomb",
        request("application/json", &header, &body),
        Right::These(&[413]),
    )
}

/// Names that a JSON library keeps to itself: they are members like any other.
fn private_keys(random: &mut StdRng) -> Hostile {
    let name = ["RawValue", "Number"][random.random_range(0..2)];
    let value = ["\"[1,2\"", "\"1e400\"", "\"{\\\"a\\\":1}\"", "1", "{}", "\"\""][random.random_range(0..6)];
    let inner = format!(r#"{{"$serde_json::private::{name}":{value}}}"#);
    let body = match random.random_range(0..3) {
        0 => inner,
        1 => format!(r#"{{"id":1,"a":{inner}}}"#),
        _ => format!("[{inner},{inner}]"),
    };
    of_kind(
        "private keys",
        request("application/json", "", body.as_bytes()),
        Right::These(&[202]),
    )
}

/// Two lengths, a length and chunks, or chunks that are none: a request hidden in another.
fn contradicting_framing(random: &mut StdRng) -> Hostile {
    let framing = [
        "content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /r/x HTTP/1.1\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello",
        "transfer-encoding: gzip\r\n\r\nhello",
        "content-length: -1\r\n\r\n",
        "content-length: 1e3\r\n\r\n",
        "content-length: 99999999999999999999\r\n\r\n",
        "transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    ];
    let framing = framing[random.random_range(0..framing.len())];
    let whole =
        format!("POST /default/hostile HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\n{framing}");
    Hostile {
        is_cut: true,
        ..of_kind(
            "contradicting framing",
            whole.into_bytes(),
            Right::These(&[0, 400, 413]),
        )
    }
}

/// A head or a body that comes byte by byte, and never whole.
fn slow(random: &mut StdRng) -> Hostile {
    let whole = request("application/json", "", br#"{"a":1,"b":[1,2,3]}"#);
    let from = if random.random_bool(0.5) {
        10
    } else {
        whole.len() - 15
    };
    let mut pieces = vec![whole[..from].to_vec()];
    pieces.extend(whole[from..].iter().take(12).map(|byte| vec![*byte]));
    Hostile {
        pause: Duration::from_millis(1_000),
        pieces,
        ..of_kind("slow", Vec::new(), Right::These(&[0, 408]))
    }
}
