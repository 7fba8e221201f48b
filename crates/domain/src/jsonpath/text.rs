//! Limits that a path's text is held to before the recursive parser sees it.

use super::PathError;

/// Bytes of a path.
pub const MAX_TEXT_BYTES: usize = 1024;

/// Parentheses and brackets that may be open at one place.
pub const MAX_NESTING: usize = 16;

/// Segments that begin with `..`; each multiplies the nodes that the next ones see.
pub const MAX_DESCENDANTS: usize = 2;

/// Function calls inside of each other's arguments. The parser below tries each level in three ways,
/// so its time grows with three to this power; no sensible path needs more than two.
pub const MAX_FUNCTION_NESTING: usize = 4;

/// What a scan over the text counts, outside of string literals.
#[derive(Default)]
struct Scan {
    /// One entry per open parenthesis or bracket: whether it opens a function's arguments.
    open: Vec<bool>,
    descendants: usize,
    quote: Option<u8>,
}

/// Refuses a text that is over one of the limits, without parsing it.
pub(super) fn check_limits(text: &str) -> Result<(), PathError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(PathError::new(format!(
            "a path has at most {MAX_TEXT_BYTES} bytes"
        )));
    }
    let mut scan = Scan::default();
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        index += scan.advance(bytes, index)?;
    }
    Ok(())
}

impl Scan {
    /// Looks at the byte at `index`; gives how many bytes to go on by.
    fn advance(&mut self, bytes: &[u8], index: usize) -> Result<usize, PathError> {
        match (self.quote, bytes[index]) {
            (Some(_), b'\\') => return Ok(2),
            (Some(quote), byte) if byte == quote => self.quote = None,
            (Some(_), _) => {}
            (None, byte @ (b'"' | b'\'')) => self.quote = Some(byte),
            (None, byte) if is_blank(byte) && parts_a_name(bytes, index) => {
                return Err(PathError::new(
                    "a name with a space is written in quotes: ['a b']",
                ));
            }
            (None, b'(') => {
                let is_call = index > 0 && is_function_name(bytes[index - 1]);
                self.enter(is_call)?;
            }
            (None, b'[') => self.enter(false)?,
            (None, b')' | b']') => {
                self.open.pop();
            }
            (None, b'.') if bytes.get(index + 1) == Some(&b'.') => {
                self.descendants += 1;
                if self.descendants > MAX_DESCENDANTS {
                    return Err(PathError::new(format!(
                        "a path has at most {MAX_DESCENDANTS} `..`"
                    )));
                }
                return Ok(2);
            }
            (None, _) => {}
        }
        Ok(1)
    }

    fn enter(&mut self, is_call: bool) -> Result<(), PathError> {
        self.open.push(is_call);
        if self.open.len() > MAX_NESTING {
            return Err(PathError::new(format!("a path nests at most {MAX_NESTING} deep")));
        }
        if self.open.iter().filter(|is_call| **is_call).count() > MAX_FUNCTION_NESTING {
            let detail = format!("function calls nest at most {MAX_FUNCTION_NESTING} deep");
            return Err(PathError::new(detail));
        }
        Ok(())
    }
}

/// RFC 9535 knows no two names or numbers beside each other; the parser below takes them for one name.
fn parts_a_name(bytes: &[u8], index: usize) -> bool {
    let before = index.checked_sub(1).map(|before| bytes[before]);
    let after = bytes[index..].iter().find(|byte| !is_blank(**byte));
    before.is_some_and(is_of_name) && after.copied().is_some_and(is_of_name)
}

fn is_of_name(byte: u8) -> bool {
    is_function_name(byte) || !byte.is_ascii()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_function_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
