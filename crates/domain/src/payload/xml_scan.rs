//! Limits that an XML document is held to before it is parsed, in one pass over its tags.
//!
//! The parser below compares each attribute with the others of its element, and copies the
//! namespaces in scope, so its time and memory grow with their square. This is no check of
//! well-formedness: on a document that isn't, it may say anything.

/// How deep elements may nest.
pub const MAX_XML_DEPTH: usize = 128;

/// Attributes of one element.
pub const MAX_ATTRIBUTES: usize = 128;

/// Namespace declarations that are in scope at one place.
pub const MAX_NAMESPACES: usize = 32;

/// Refuses a document that is over a limit, or has a document type.
pub(super) fn check_limits(text: &str) -> Result<(), String> {
    let mut rest = text;
    let mut scopes: Vec<usize> = Vec::new();
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        rest = if let Some(after) = rest.strip_prefix("!--") {
            skip_past(after, "-->")
        } else if let Some(after) = rest.strip_prefix("![CDATA[") {
            skip_past(after, "]]>")
        } else if let Some(after) = rest.strip_prefix('?') {
            skip_past(after, "?>")
        } else if rest.starts_with('!') {
            return Err("a document type is not taken".to_owned());
        } else if let Some(after) = rest.strip_prefix('/') {
            scopes.pop();
            after
        } else {
            element(rest, &mut scopes)?
        };
    }
    Ok(())
}

fn skip_past<'t>(text: &'t str, end: &str) -> &'t str {
    text.find(end).map_or("", |at| &text[at + end.len()..])
}

/// Reads a start tag from after its `<`; gives what follows it.
fn element<'t>(text: &'t str, scopes: &mut Vec<usize>) -> Result<&'t str, String> {
    let (mut attributes, mut namespaces) = (0, scopes.last().copied().unwrap_or(0));
    let mut rest = text;
    let empty = loop {
        let Some(at) = rest.find(['"', '\'', '>']) else {
            return Ok("");
        };
        if rest.as_bytes()[at] == b'>' {
            let empty = rest[..at].ends_with('/');
            rest = &rest[at + 1..];
            break empty;
        }
        attributes += 1;
        let name = rest[..at].trim_end_matches(|c: char| c == '=' || c.is_ascii_whitespace());
        let name = name
            .rsplit(|c: char| c.is_ascii_whitespace())
            .next()
            .unwrap_or_default();
        namespaces += usize::from(name == "xmlns" || name.starts_with("xmlns:"));
        let quote = &rest[at..=at];
        rest = skip_past(&rest[at + 1..], quote);
    };
    if attributes > MAX_ATTRIBUTES {
        return Err(format!("an element has more than {MAX_ATTRIBUTES} attributes"));
    }
    if namespaces > MAX_NAMESPACES {
        return Err(format!("more than {MAX_NAMESPACES} namespaces are in scope"));
    }
    if scopes.len() >= MAX_XML_DEPTH {
        return Err(format!("elements nest deeper than {MAX_XML_DEPTH}"));
    }
    if !empty {
        scopes.push(namespaces);
    }
    Ok(rest)
}
