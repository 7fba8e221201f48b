//! `application/x-www-form-urlencoded` → JSON: values are strings, a repeated key is an array, and
//! `a[b][c]`, `a[]` and `a[0]` nest as PHP and Rack have it.

use super::{PayloadError, charset};
use crate::json::{Json, Members};
use encoding_rs::UTF_8;

/// Pairs of one form.
const MAX_PAIRS: usize = 1_000_000;
/// Brackets after a key that nest; a key with more is taken as it is written.
const MAX_KEY_PARTS: usize = 16;

/// One step into a nested value.
enum Part<'k> {
    Name(&'k str),
    /// `[]`, or `[n]` where a list has n items.
    Append(Option<usize>),
}

pub(super) fn to_json(content_type: Option<&str>, body: &[u8]) -> Result<Json, PayloadError> {
    let mut form = Json::object();
    for (name, value) in pairs(content_type, body)? {
        put(&mut form, &name, Json::String(value));
    }
    Ok(form)
}

/// Puts a value where its name says, or under the name as it is written where that place is taken.
pub(super) fn put(form: &mut Json, name: &str, value: Json) {
    let parts = key_parts(name);
    if !parts.as_deref().is_some_and(|parts| fits(form, parts)) {
        insert(form, &[Part::Name(name)], value);
    } else if let Some(parts) = parts {
        insert(form, &parts, value);
    }
}

/// The decoded pairs of a form, in order.
fn pairs(content_type: Option<&str>, body: &[u8]) -> Result<Vec<(String, String)>, PayloadError> {
    let encoding = charset::declared(content_type).unwrap_or(UTF_8);
    let decode = |part: &[u8]| {
        let bytes = unescape(part)?;
        let (text, malformed) = encoding.decode_without_bom_handling(&bytes);
        if malformed {
            let detail = format!("it is not text in {}", encoding.name());
            return Err(PayloadError::Form(detail));
        }
        Ok(text.into_owned())
    };
    let mut pairs = Vec::new();
    for pair in body
        .trim_ascii()
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        let split = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = match split {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        if pairs.len() >= MAX_PAIRS {
            return Err(PayloadError::Form(format!("it has more than {MAX_PAIRS} pairs")));
        }
        pairs.push((decode(name)?, decode(value)?));
    }
    Ok(pairs)
}

/// Percent and plus decoding; a percent sign that begins no escape is refused.
fn unescape(part: &[u8]) -> Result<Vec<u8>, PayloadError> {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(part.len());
    let mut index = 0;
    while index < part.len() {
        match part[index] {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = (hex(part.get(index + 1)), hex(part.get(index + 2)));
                let (Some(high), Some(low)) = digits else {
                    return Err(PayloadError::Form("a % begins no escape".to_owned()));
                };
                bytes.push((high * 16 + low) as u8);
                index += 2;
            }
            byte => bytes.push(byte),
        }
        index += 1;
    }
    Ok(bytes)
}

/// `a[b][]` → a, b, append; `None` for a key that has no such form.
fn key_parts(key: &str) -> Option<Vec<Part<'_>>> {
    let (name, mut rest) = match key.find('[') {
        Some(0) | None => return Some(vec![Part::Name(key)]),
        Some(at) => key.split_at(at),
    };
    let mut parts = vec![Part::Name(name)];
    while !rest.is_empty() {
        let (inner, after) = rest.strip_prefix('[')?.split_once(']')?;
        parts.push(match inner {
            "" => Part::Append(None),
            digits if is_index(digits) => Part::Append(digits.parse().ok()),
            name => Part::Name(name),
        });
        rest = after;
    }
    (parts.len() <= MAX_KEY_PARTS).then_some(parts)
}

fn is_index(text: &str) -> bool {
    text == "0" || (text.len() <= 6 && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a value can go to this place, with what is there already.
fn fits(at: &Json, parts: &[Part<'_>]) -> bool {
    let Some((part, rest)) = parts.split_first() else {
        return true;
    };
    match (at, part) {
        (Json::Object(members), Part::Name(name)) => members
            .get(*name)
            .map_or_else(|| fits_new(rest), |below| fits_below(below, rest)),
        (Json::Array(_), Part::Append(None)) => fits_new(rest),
        (Json::Array(items), Part::Append(Some(index))) => match items.get(*index) {
            Some(below) => !rest.is_empty() && fits(below, rest),
            None => *index == items.len() && fits_new(rest),
        },
        _ => false,
    }
}

/// A last part meets any value (they become a list); a nested one has to go on.
fn fits_below(below: &Json, rest: &[Part<'_>]) -> bool {
    match rest {
        [] => !matches!(below, Json::Object(_)),
        _ => fits(below, rest),
    }
}

/// Whether what is made for these parts holds them: a new list begins at 0.
fn fits_new(parts: &[Part<'_>]) -> bool {
    parts
        .iter()
        .all(|part| matches!(part, Part::Name(_) | Part::Append(None | Some(0))))
}

fn insert(at: &mut Json, parts: &[Part<'_>], value: Json) {
    let Some((part, rest)) = parts.split_first() else {
        return;
    };
    match (at, part) {
        (Json::Object(members), Part::Name(name)) if rest.is_empty() => add(members, name, value),
        (Json::Object(members), Part::Name(name)) => {
            let below = members
                .entry((*name).to_owned())
                .or_insert_with(|| container(rest));
            insert(below, rest, value);
        }
        (Json::Array(items), Part::Append(index)) => {
            let index = index.unwrap_or(items.len());
            if index == items.len() {
                items.push(if rest.is_empty() {
                    Json::Null
                } else {
                    container(rest)
                });
            }
            match rest {
                [] => items[index] = value,
                _ => insert(&mut items[index], rest, value),
            }
        }
        _ => {}
    }
}

fn container(parts: &[Part<'_>]) -> Json {
    match parts.first() {
        Some(Part::Append(_)) => Json::Array(Vec::new()),
        _ => Json::object(),
    }
}

/// A second value of the same name makes a list of both.
fn add(members: &mut Members, name: &str, value: Json) {
    match members.get_mut(name) {
        None => {
            members.insert(name.to_owned(), value);
        }
        Some(Json::Array(items)) => items.push(value),
        Some(present) => {
            let first = std::mem::take(present);
            *present = Json::Array(vec![first, value]);
        }
    }
}
