//! Text → [`Json`], refusing what RFC 8259 refuses, and what nests too deep.
//!
//! The parser below it works without recursion; the tree is built on an explicit stack, whose
//! limit also keeps every later walk over the tree shallow.

use super::{Json, Members, Number};
use json_event_parser::{JsonEvent, JsonSyntaxError, SliceJsonParser};

/// How deep arrays and objects may nest: a scalar inside of 128 of them is still accepted.
pub const MAX_DEPTH: usize = 128;

/// Where and why a text is not JSON that we take. Line and column count from 1, columns in bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {detail}")]
pub struct JsonError {
    /// Bytes before the place, from the start of the text.
    pub offset: usize,
    pub line: usize,
    pub column: usize,
    pub detail: String,
}

impl From<JsonSyntaxError> for JsonError {
    fn from(error: JsonSyntaxError) -> Self {
        let start = error.location().start;
        Self {
            offset: start.offset as usize,
            line: start.line as usize + 1,
            column: start.column as usize + 1,
            detail: error.message().to_owned(),
        }
    }
}

/// How many values a text may have: parsed, each takes some hundred bytes.
pub const MAX_VALUES: usize = 2_000_000;

/// How many arrays and objects are open, checked against [`MAX_DEPTH`], and how many values there were,
/// checked against [`MAX_VALUES`].
pub(crate) struct Position {
    depth: usize,
    values: usize,
}

impl Position {
    pub(crate) fn new() -> Self {
        Self { depth: 0, values: 0 }
    }

    /// Counts an event's opening or closing. The depth limit's error has no place in the text.
    pub(crate) fn advance(&mut self, event: &JsonEvent<'_>) -> Result<(), JsonError> {
        match event {
            JsonEvent::StartArray | JsonEvent::StartObject => self.depth += 1,
            JsonEvent::EndArray | JsonEvent::EndObject => self.depth -= 1,
            _ => {}
        }
        let is_end = matches!(
            event,
            JsonEvent::EndArray | JsonEvent::EndObject | JsonEvent::ObjectKey(_) | JsonEvent::Eof
        );
        self.values += usize::from(!is_end);
        if self.values > MAX_VALUES {
            return Err(nowhere(format!("it has more than {MAX_VALUES} values")));
        }
        if self.depth > MAX_DEPTH {
            Err(too_deep())
        } else {
            Ok(())
        }
    }
}

fn too_deep() -> JsonError {
    nowhere(format!("arrays and objects nest deeper than {MAX_DEPTH}"))
}

/// An error of the whole text.
fn nowhere(detail: String) -> JsonError {
    JsonError {
        offset: 0,
        line: 1,
        column: 1,
        detail,
    }
}

/// The reader of the events of one JSON text, for passes that build no tree. A leading BOM is skipped.
pub(crate) fn event_reader(text: &[u8]) -> SliceJsonParser<'_> {
    SliceJsonParser::new(text)
}

/// An array or object that is still open.
enum Open {
    Array(Vec<Json>),
    Object(Members, String),
}

impl Json {
    /// Parses one JSON text (UTF-8, a BOM is skipped). Of members with the same name the last value
    /// stays, in the place of the first.
    ///
    /// # Errors
    /// What RFC 8259 refuses, invalid UTF-8, lone surrogates, and nesting beyond [`MAX_DEPTH`].
    pub fn parse(text: &[u8]) -> Result<Self, JsonError> {
        let mut reader = event_reader(text);
        let mut position = Position::new();
        let mut open: Vec<Open> = Vec::new();
        let mut root = Json::Null;
        loop {
            let event = reader.parse_next()?;
            position.advance(&event)?;
            let value = match event {
                JsonEvent::Eof => return Ok(root),
                JsonEvent::StartArray => {
                    open.push(Open::Array(Vec::new()));
                    continue;
                }
                JsonEvent::StartObject => {
                    open.push(Open::Object(Members::new(), String::new()));
                    continue;
                }
                JsonEvent::ObjectKey(key) => {
                    if let Some(Open::Object(_, name)) = open.last_mut() {
                        *name = key.into_owned();
                    }
                    continue;
                }
                JsonEvent::EndArray | JsonEvent::EndObject => match open.pop() {
                    Some(Open::Array(items)) => Json::Array(items),
                    Some(Open::Object(members, _)) => Json::Object(members),
                    None => unreachable!("the reader balances its events"),
                },
                JsonEvent::Null => Json::Null,
                JsonEvent::Boolean(value) => Json::Bool(value),
                JsonEvent::Number(text) => Json::Number(Number::from_checked(&text)),
                JsonEvent::String(text) => Json::String(text.into_owned()),
            };
            match open.last_mut() {
                Some(Open::Array(items)) => items.push(value),
                Some(Open::Object(members, name)) => {
                    members.insert(std::mem::take(name), value);
                }
                None => root = value,
            }
        }
    }
}
