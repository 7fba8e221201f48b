//! Whether a body has a text in it: as it was received, or in the names and values that it decodes to.
//! Case doesn't count. It is no index: each body is read through.

use crate::json::Json;

/// Bytes that some media type writes characters with that are not themselves: JSON's escapes, a form's,
/// XML's. A body without them says all that it decodes to as it is.
const ESCAPES: [u8; 4] = [b'\\', b'%', b'+', b'&'];

/// A text to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedText(String);

impl WantedText {
    /// `text` without regard to case and to space around it.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_lowercase())
    }

    /// Whether it is in the body. `decode` gives what the body decodes to, and is only asked where that
    /// can say more than the bytes.
    pub fn is_in(&self, body: &[u8], decode: impl FnOnce() -> Option<Json>) -> bool {
        let text = std::str::from_utf8(body);
        if text.is_ok_and(|text| self.is_in_text(text)) {
            return true;
        }
        let is_written_out = text.is_ok() && !body.iter().any(|byte| ESCAPES.contains(byte));
        !is_written_out && decode().is_some_and(|json| self.is_in_json(&json))
    }

    /// Whether it is in a name or a scalar of a document.
    fn is_in_json(&self, json: &Json) -> bool {
        match json {
            Json::Null => self.is_in_text("null"),
            Json::Bool(value) => self.is_in_text(if *value { "true" } else { "false" }),
            Json::Number(number) => self.is_in_text(number.as_str()),
            Json::String(text) => self.is_in_text(text),
            Json::Array(items) => items.iter().any(|item| self.is_in_json(item)),
            Json::Object(members) => members
                .iter()
                .any(|(name, value)| self.is_in_text(name) || self.is_in_json(value)),
        }
    }

    fn is_in_text(&self, text: &str) -> bool {
        text.contains(&self.0) || text.to_lowercase().contains(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &str, body: &[u8], expected: bool) {
        let decode = || std::str::from_utf8(body).ok()?.parse().ok();
        let is_in = WantedText::new(wanted).is_in(body, decode);
        assert_eq!(is_in, expected, "{wanted} in {}", String::from_utf8_lossy(body));
    }

    #[test]
    fn a_text_is_found_in_names_and_values_whatever_its_case() {
        let body = br#"{"Kunde":{"name":"M\u00dcLLER GmbH","order":9007199254740993,"open":true}}"#;
        for wanted in [
            "kunde",
            "m\u{fc}ller gmbh",
            " GMBH ",
            "9007199254740993",
            "\"open\":true",
            "true",
        ] {
            check(wanted, body, true);
        }
        for wanted in ["gmbh & co", "9007199254740992", "false"] {
            check(wanted, body, false);
        }
    }

    #[test]
    fn what_says_all_as_it_is_is_not_decoded() {
        let is_in = WantedText::new("x").is_in(b"{\"a\":1}", || unreachable!("no byte of it is an escape"));
        assert!(!is_in);
    }

    #[test]
    fn bytes_that_are_no_text_are_found_by_what_they_decode_to() {
        let decode = || Some(Json::String("Z\u{fc}rich".to_owned()));
        assert!(WantedText::new("z\u{fc}rich").is_in(b"Z\xfcrich", decode));
        assert!(!WantedText::new("bern").is_in(b"Z\xfcrich", || None));
    }
}
