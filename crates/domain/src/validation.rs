//! Refusing bad definitions: every fault with the JSON Pointer (RFC 6901) of the field it is in.

use serde::Serialize;

/// One fault of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON Pointer to the field, such as `/entity/path`.
    pub pointer: String,
    /// What is wrong with it, as a sentence for the person who wrote it.
    pub detail: String,
    /// A machine-readable cause where clients act on it, such as `ordering-lost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
}

impl FieldError {
    /// A fault in the field at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
            code: None,
        }
    }
}

/// The first fault in one text, for what can say one only.
pub(crate) fn first_fault(faults: &[FieldError]) -> String {
    let said = |fault: &FieldError| match fault.pointer.as_str() {
        "" => fault.detail.clone(),
        pointer => format!("{pointer}: {}", fault.detail),
    };
    faults.first().map(said).unwrap_or_default()
}

/// Collects the faults of one definition.
#[derive(Debug, Default)]
pub struct Faults(Vec<FieldError>);

impl Faults {
    /// Adds a fault at `pointer` unless `holds`.
    pub fn require(&mut self, holds: bool, pointer: &str, detail: &str) {
        if !holds {
            self.0.push(FieldError::new(pointer, detail));
        }
    }

    /// Adds a fault.
    pub fn push(&mut self, error: FieldError) {
        self.0.push(error);
    }

    /// Where the collected faults are, for functions that add theirs.
    pub fn errors(&mut self) -> &mut Vec<FieldError> {
        &mut self.0
    }

    /// `Ok` where there was none.
    pub fn finish(self) -> Result<(), Vec<FieldError>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

/// A member's name as a token of a JSON Pointer (RFC 6901, section 3).
pub fn pointer_token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A name of letters, digits, `_` and `-` that starts with a letter or digit, at most 64 long.
pub fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=64).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// An HTTP field name (RFC 9110, section 5.1: a token).
pub fn is_header_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// An HTTP field value that can be sent as it is: visible ASCII, spaces and tabs.
pub fn is_header_value(text: &str) -> bool {
    text.len() <= 8192 && text.bytes().all(|b| b == b'\t' || (0x20..0x7f).contains(&b))
}

/// Labels: at most 32, keys are names, values at most 256 bytes.
pub fn check_labels(labels: &std::collections::BTreeMap<String, String>, faults: &mut Faults) {
    faults.require(labels.len() <= 32, "/labels", "has more than 32 labels");
    for (key, value) in labels {
        let fits = is_name(key) && value.len() <= 256;
        faults.require(
            fits,
            &format!("/labels/{key}"),
            "a label's key is a name, its value has at most 256 bytes",
        );
    }
}
