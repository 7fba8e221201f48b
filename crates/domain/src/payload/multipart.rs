//! `multipart/form-data` (RFC 7578) → JSON: fields as forms have them, files as objects
//! `{"filename", "content_type", "size", "text" | "content_base64"}`.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use futures::{executor::block_on, stream};
use multer::{Field, Multipart, bytes::Bytes};

use super::{Kind, PayloadError, charset, form};
use crate::{json::Json, payload::BodyFormat};

/// Parts of one body.
const MAX_PARTS: usize = 1_000;
/// Headers of one part together, bytes.
const MAX_PART_HEADER_BYTES: usize = 16 * 1024;

pub(super) fn to_json(content_type: Option<&str>, body: &[u8]) -> Result<Json, PayloadError> {
    let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(malformed)?;
    let body = Bytes::copy_from_slice(body);
    // All of it is here, so nothing is ever waited for.
    block_on(read(body, boundary))
}

async fn read(body: Bytes, boundary: String) -> Result<Json, PayloadError> {
    let whole = stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut parts = Multipart::new(whole, boundary);
    let (mut form, mut count) = (Json::object(), 0);
    while let Some(field) = parts.next_field().await.map_err(malformed)? {
        count += 1;
        if count > MAX_PARTS {
            return Err(PayloadError::Multipart(format!(
                "it has more than {MAX_PARTS} parts"
            )));
        }
        check_headers(&field)?;
        let Some(name) = field.name().map(str::to_owned) else {
            return Err(PayloadError::Multipart("a part has no name".to_owned()));
        };
        let value = value(field).await?;
        form::put(&mut form, &name, value);
    }
    Ok(form)
}

fn check_headers(field: &Field<'_>) -> Result<(), PayloadError> {
    let headers = field.headers().iter();
    let bytes: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if bytes > MAX_PART_HEADER_BYTES {
        let detail = format!("the headers of a part have more than {MAX_PART_HEADER_BYTES} bytes");
        return Err(PayloadError::Multipart(detail));
    }
    Ok(())
}

async fn value(field: Field<'_>) -> Result<Json, PayloadError> {
    let content_type = field.headers().get("content-type");
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let file = field.file_name().map(str::to_owned);
    let content = field.bytes().await.map_err(malformed)?;
    match file {
        Some(file) => Ok(of_file(&file, content_type.as_deref(), &content)),
        None => of_field(content_type.as_deref(), &content),
    }
}

/// A field is text; one that is declared to be JSON is what it says.
fn of_field(content_type: Option<&str>, content: &[u8]) -> Result<Json, PayloadError> {
    match Kind::of(content_type, BodyFormat::Auto) {
        Kind::Json => Ok(Json::parse(content)?),
        _ => Ok(Json::String(charset::decode_text(content_type, content))),
    }
}

/// What is declared to be text, and is, can be read as such; all else is in Base64.
fn of_file(filename: &str, content_type: Option<&str>, content: &[u8]) -> Json {
    let text = match Kind::of(content_type, BodyFormat::Auto) {
        Kind::Text | Kind::Json | Kind::Xml => charset::decode_exactly(content_type, content),
        _ => None,
    };
    let content_member = match text {
        Some(text) => ("text", Json::String(text)),
        None => ("content_base64", Json::String(BASE64.encode(content))),
    };
    Json::from([
        ("filename", Json::from(filename)),
        ("content_type", content_type.map_or(Json::Null, Json::from)),
        ("size", Json::from(content.len() as u64)),
        content_member,
    ])
}

fn malformed(error: multer::Error) -> PayloadError {
    PayloadError::Multipart(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=x";

    fn check(body: &str, expected: &str) {
        let found = to_json(Some(TYPE), body.as_bytes()).map(|json| json.to_compact_string());
        assert_eq!(found.as_deref(), Ok(expected));
    }

    fn check_refused(content_type: &str, body: &str) {
        let found = to_json(Some(content_type), body.as_bytes());
        assert!(
            matches!(found, Err(PayloadError::Multipart(_))),
            "{body}: {found:?}"
        );
    }

    fn part(headers: &str, content: &str) -> String {
        format!("--x\r\nContent-Disposition: form-data; {headers}\r\n\r\n{content}\r\n")
    }

    #[test]
    fn fields_are_members_and_files_are_objects() {
        let fields = [
            part("name=\"a\"", "1"),
            part("name=\"b[c]\"", "x y"),
            part("name=\"a\"", "2"),
        ];
        check(
            &format!("{}--x--\r\n", fields.concat()),
            r#"{"a":["1","2"],"b":{"c":"x y"}}"#,
        );
        let json = part("name=\"j\"\r\nContent-Type: application/json", "{\"n\":1.10}");
        check(&format!("preamble\r\n{json}--x--"), r#"{"j":{"n":1.10}}"#);
        let text = part("name=\"f\"; filename=\"a.csv\"\r\nContent-Type: text/csv", "1,2");
        check(
            &format!("{text}--x--"),
            r#"{"f":{"filename":"a.csv","content_type":"text/csv","size":3,"text":"1,2"}}"#,
        );
        let bytes = part("name=\"f\"; filename=\"a.png\"", "\u{1}");
        check(
            &format!("{bytes}--x--"),
            r#"{"f":{"filename":"a.png","content_type":null,"size":1,"content_base64":"AQ=="}}"#,
        );
    }

    #[test]
    fn a_body_that_is_not_what_it_says_is_refused() {
        let whole = format!("{}--x--\r\n", part("name=\"a\"", "1"));
        for end in [0, 3, 20, whole.len() - 5] {
            check_refused(TYPE, &whole[..end]);
        }
        check_refused("multipart/form-data", &whole);
        check_refused(TYPE, &whole.replace("; name=\"a\"", ""));
        check_refused(
            TYPE,
            &format!("{}--x--", part("name=\"a\"", "").repeat(MAX_PARTS + 1)),
        );
        let long = format!("name=\"{}\"", "a".repeat(MAX_PART_HEADER_BYTES));
        check_refused(TYPE, &format!("{}--x--", part(&long, "")));
    }
}
