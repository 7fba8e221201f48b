//! A body as query parameters, for receivers that are called with GET: members in their order, nesting joined
//! with `_`, list items by their index, null as nothing.
//!
//! The text is `application/x-www-form-urlencoded` (WHATWG URL, section 5.2): a space is `+`, other bytes than
//! letters, digits and `*-._` are `%XX`.

use crate::json::{Json, JsonError};
use std::collections::HashSet;
use url::form_urlencoded;

/// The longest URL of such a request, bytes: what RFC 9110, section 4.1 recommends everybody to take.
pub const MAX_QUERY_URL_BYTES: usize = 8000;

/// A body of more bytes than this can't be flattened into so short a URL, so it isn't read at all: its
/// escapes and braces are at most some six times as long as what becomes of them.
const MAX_FLATTENED_BODY_BYTES: usize = 8 * MAX_QUERY_URL_BYTES;

/// Why a body can't be sent as a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The body is text, or bytes.
    #[error("the body is not JSON, so it has no members to send with GET: {0}")]
    NotJson(#[from] JsonError),
    /// The body is a scalar.
    #[error("the body is neither an object nor a list, so it has no members to send with GET")]
    NoMembers,
    /// Two members would have one name.
    #[error("two members would both be the query parameter {0}")]
    Clash(String),
    /// The URL would be too long.
    #[error("the URL with the body's members would have more than {MAX_QUERY_URL_BYTES} bytes")]
    TooLong,
}

/// `url` with the members of `body`, compact JSON, behind its own query.
///
/// # Errors
/// The body has no members, two of one name, or too many.
pub fn url_with_members(url: &str, body: &[u8]) -> Result<String, QueryError> {
    if body.len() > MAX_FLATTENED_BODY_BYTES {
        return Err(QueryError::TooLong);
    }
    let query = flatten(&Json::parse(body)?)?;
    let (front, fragment) = match url.split_once('#') {
        Some((front, fragment)) => (front, Some(fragment)),
        None => (url, None),
    };
    let mut whole = front.to_owned();
    if !query.is_empty() {
        match front.split_once('?') {
            None => whole.push('?'),
            Some((_, own)) if own.is_empty() || own.ends_with('&') => {}
            Some(_) => whole.push('&'),
        }
        whole.push_str(&query);
    }
    if let Some(fragment) = fragment {
        whole.push('#');
        whole.push_str(fragment);
    }
    match whole.len() > MAX_QUERY_URL_BYTES {
        true => Err(QueryError::TooLong),
        false => Ok(whole),
    }
}

/// The members of an object or a list as a query, without its `?`.
///
/// # Errors
/// The value has no members, two of one name, or too many.
pub fn flatten(value: &Json) -> Result<String, QueryError> {
    if value.is_scalar() {
        return Err(QueryError::NoMembers);
    }
    let mut query = Query::default();
    if !is_empty(value) {
        query.add(value, "")?;
    }
    Ok(query.text)
}

/// The name of a member of what is called `outer`.
pub(crate) fn query_name(outer: &str, member: &str) -> String {
    match outer {
        "" => member.to_owned(),
        outer => format!("{outer}_{member}"),
    }
}

#[derive(Default)]
struct Query {
    text: String,
    names: HashSet<String>,
}

impl Query {
    fn add(&mut self, value: &Json, name: &str) -> Result<(), QueryError> {
        match value {
            Json::Object(members) if !members.is_empty() => members
                .iter()
                .try_for_each(|(member, value)| self.add(value, &query_name(name, member))),
            Json::Array(items) if !items.is_empty() => items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| self.add(item, &query_name(name, &index.to_string()))),
            leaf => self.leaf(leaf, name),
        }
    }

    fn leaf(&mut self, value: &Json, name: &str) -> Result<(), QueryError> {
        if !self.names.insert(name.to_owned()) {
            return Err(QueryError::Clash(name.to_owned()));
        }
        let text = match value {
            Json::Null | Json::Array(_) | Json::Object(_) => String::new(),
            scalar => scalar.bare_text(),
        };
        if !self.text.is_empty() {
            self.text.push('&');
        }
        self.text.extend(form_urlencoded::byte_serialize(name.as_bytes()));
        self.text.push('=');
        self.text.extend(form_urlencoded::byte_serialize(text.as_bytes()));
        match self.text.len() > MAX_QUERY_URL_BYTES {
            true => Err(QueryError::TooLong),
            false => Ok(()),
        }
    }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Object(members) => members.is_empty(),
        Json::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Result<&str, QueryError>) {
        let found = flatten(&body.parse().unwrap());
        assert_eq!(found, expected.map(str::to_owned), "{body}");
    }

    #[test]
    fn a_record_of_a_sync_is_the_query_of_the_other_product() {
        let body = r#"{"_valmi_meta": {"_valmi_row_num": 347, "_valmi_sync_op": "upsert"},
            "my_first_name": "Ryan", "my_last_name": "Salisbury", "email": "ryan.salisbury@sakilacustomer.org",
            "active": 1, "_message_id": 346, "_sync_mode": "upsert"}"#;
        check(
            body,
            Ok(concat!(
                "_valmi_meta__valmi_row_num=347&_valmi_meta__valmi_sync_op=upsert&my_first_name=Ryan",
                "&my_last_name=Salisbury&email=ryan.salisbury%40sakilacustomer.org&active=1",
                "&_message_id=346&_sync_mode=upsert"
            )),
        );
    }

    #[test]
    fn members_keep_their_order_and_their_text() {
        check(
            r#"{"z": null, "a": true, "list": [1.10, {"id": 9007199254740993}, []], "o": {}, "t": "a b&=ü/~*"}"#,
            Ok("z=&a=true&list_0=1.10&list_1_id=9007199254740993&list_2=&o=&t=a+b%26%3D%C3%BC%2F%7E*"),
        );
        check(r#"[{"id": 1}, 2]"#, Ok("0_id=1&1=2"));
        check("{}", Ok(""));
        check("[]", Ok(""));
    }

    #[test]
    fn two_members_of_one_name_are_refused() {
        let clash = |name: &str| Err(QueryError::Clash(name.to_owned()));
        check(r#"{"a_b": 1, "a": {"b": 2}}"#, clash("a_b"));
        check(r#"{"a": [1], "a_0": 2}"#, clash("a_0"));
        check(r#"{"a": {"": 1}, "a_": 2}"#, clash("a_"));
        check(r#"{"a": {"b": 1}, "c_b": 2}"#, Ok("a_b=1&c_b=2"));
        check("5", Err(QueryError::NoMembers));
    }

    #[test]
    fn what_is_too_long_for_a_url_is_refused_before_it_is_built() {
        let long = format!(r#"{{"a": "{}"}}"#, "x".repeat(MAX_QUERY_URL_BYTES));
        check(&long, Err(QueryError::TooLong));
        let huge = format!(r#"{{"a":"{}"}}"#, "\\u001f".repeat(MAX_QUERY_URL_BYTES));
        assert_eq!(
            url_with_members("http://a/", huge.as_bytes()),
            Err(QueryError::TooLong)
        );
        let fits = MAX_QUERY_URL_BYTES - "http://a/?a=".len();
        let body = format!(r#"{{"a":"{}"}}"#, "x".repeat(fits));
        assert_eq!(
            url_with_members("http://a/", body.as_bytes()).map(|url| url.len()),
            Ok(8000)
        );
        let body = format!(r#"{{"a":"{}"}}"#, "x".repeat(fits + 1));
        assert_eq!(
            url_with_members("http://a/", body.as_bytes()),
            Err(QueryError::TooLong)
        );
    }

    #[test]
    fn the_urls_own_query_stays_in_front() {
        let check = |url: &str, expected: &str| {
            assert_eq!(
                url_with_members(url, br#"{"a":1,"b":2}"#).as_deref(),
                Ok(expected)
            );
        };
        check("http://x/p", "http://x/p?a=1&b=2");
        check("http://x/p?", "http://x/p?a=1&b=2");
        check("http://x/p?key=%20k", "http://x/p?key=%20k&a=1&b=2");
        check("http://x/p?key=k&", "http://x/p?key=k&a=1&b=2");
        check("http://x/p?key=k#part", "http://x/p?key=k&a=1&b=2#part");
        assert_eq!(url_with_members("http://x/", b"{}").as_deref(), Ok("http://x/"));
    }
}
