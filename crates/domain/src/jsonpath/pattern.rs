//! Patterns of `match` and `search` (I-Regexp, RFC 9485) and of filters, in linear time and with a
//! price that follows from the text's length and the pattern's size.

use super::{Budget, BudgetExceeded};
use regex::{Regex, RegexBuilder};

/// Bytes of a pattern's text.
const MAX_PATTERN_BYTES: usize = 1024;

/// Sizes of a compiled pattern, bytes; a pattern over the last is refused.
const SIZES_BYTES: [usize; 5] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// Bytes of a compiled pattern that one step takes over one byte of text. In the worst case each
/// state of the pattern (some 32 bytes) is looked at for each byte of the text, 5 ns each, and a
/// step is meant to be 100 ns.
const SIZE_BYTES_PER_STEP: usize = 640;

/// Memory of the automaton that is built while matching, bytes.
const DFA_BYTES: usize = 1 << 20;

/// Groups inside of each other.
const MAX_PATTERN_NESTING: u32 = 32;

/// Steps that the shortest match costs.
const MATCH_STEPS: usize = 8;

/// A compiled pattern and what a match with it costs.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// Steps per byte of text.
    weight: usize,
}

impl Pattern {
    pub(crate) fn is_match(&self, text: &str, budget: &mut Budget) -> Result<bool, BudgetExceeded> {
        budget.spend(MATCH_STEPS + text.len() * self.weight)?;
        Ok(self.regex.is_match(text))
    }
}

/// Compiles a pattern that may match anywhere in a text, in the syntax of the `regex` crate.
///
/// # Errors
/// A sentence for the person who wrote it.
pub(crate) fn compile_search(pattern: &str) -> Result<Pattern, String> {
    compile(pattern)
}

/// Compiles an I-Regexp for `match` (`whole`) or `search`, by the mapping of RFC 9485, section 5.
///
/// # Errors
/// A sentence for the person who wrote it.
pub(super) fn compile_iregexp(pattern: &str, whole: bool) -> Result<Pattern, String> {
    let mapped = map_dots(pattern);
    if whole {
        compile(&format!(r"\A(?:{mapped})\z"))
    } else {
        compile(&mapped)
    }
}

fn compile(pattern: &str) -> Result<Pattern, String> {
    if pattern.len() > MAX_PATTERN_BYTES * 2 {
        return Err(format!("a pattern has at most {MAX_PATTERN_BYTES} bytes"));
    }
    for size in SIZES_BYTES {
        let built = RegexBuilder::new(pattern)
            .size_limit(size)
            .dfa_size_limit(DFA_BYTES)
            .nest_limit(MAX_PATTERN_NESTING)
            .build();
        match built {
            Ok(regex) => {
                return Ok(Pattern {
                    regex,
                    weight: size / SIZE_BYTES_PER_STEP,
                });
            }
            Err(regex::Error::CompiledTooBig(_)) => {}
            Err(error) => return Err(format!("not a valid pattern: {error}")),
        }
    }
    Err("the pattern is too large once compiled".to_owned())
}

/// A dot outside of a character class matches all but `\n` and `\r` (RFC 9485, section 5.3).
fn map_dots(pattern: &str) -> String {
    let mut mapped = String::with_capacity(pattern.len());
    let (mut in_class, mut escaped) = (false, false);
    for c in pattern.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '.' if !in_class => {
                mapped.push_str(r"[^\n\r]");
                continue;
            }
            _ => {}
        }
        mapped.push(c);
    }
    mapped
}
