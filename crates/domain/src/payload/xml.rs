//! XML → JSON: `{"root": …}`, attributes as `@name`, text beside them as `#text`, prefixes kept,
//! repeated elements as arrays. An element with text only is a string, an empty one the empty
//! string; no type is guessed. Namespace declarations, comments and processing instructions are left
//! out. There is no document type, so no entity but the five.

use super::{PayloadError, charset, xml_scan};
use crate::json::{Json, Members};
use roxmltree::{Document, Node, ParsingOptions};

/// Nodes of a document: as a tree, each takes some hundred bytes.
const MAX_XML_NODES: u32 = 2_000_000;

pub(super) fn to_json(
    content_type: Option<&str>,
    body: &[u8],
    force_list: &[String],
) -> Result<Json, PayloadError> {
    let text = charset::decode_xml(content_type, body).map_err(PayloadError::Xml)?;
    xml_scan::check_limits(&text).map_err(PayloadError::Xml)?;
    let options = ParsingOptions {
        nodes_limit: MAX_XML_NODES,
        ..ParsingOptions::default()
    };
    let document =
        Document::parse_with_options(&text, options).map_err(|error| PayloadError::Xml(error.to_string()))?;
    let mut members = Members::new();
    let writer = Converter {
        source: document.input_text(),
        force_list,
    };
    writer.add_element(&mut members, document.root_element());
    Ok(Json::Object(members))
}

struct Converter<'a> {
    source: &'a str,
    force_list: &'a [String],
}

impl Converter<'_> {
    /// Adds an element as a member; a repetition makes the member an array.
    fn add_element(&self, members: &mut Members, element: Node<'_, '_>) {
        let name = self.element_name(element);
        let value = self.value(element);
        match members.get_mut(name) {
            Some(Json::Array(items)) => items.push(value),
            Some(present) => {
                let first = std::mem::take(present);
                *present = Json::Array(vec![first, value]);
            }
            None => {
                let is_list = self.force_list.iter().any(|forced| forced == name);
                let value = if is_list { Json::Array(vec![value]) } else { value };
                members.insert(name.to_owned(), value);
            }
        }
    }

    fn value(&self, element: Node<'_, '_>) -> Json {
        let mut members = Members::new();
        for attribute in element.attributes() {
            let name = &self.source[attribute.range_qname()];
            members.insert(format!("@{name}"), Json::from(attribute.value()));
        }
        let mut text = String::new();
        let mut has_elements = false;
        for child in element.children() {
            if child.is_element() {
                has_elements = true;
                self.add_element(&mut members, child);
            } else if child.is_text() {
                text.push_str(child.text().unwrap_or_default());
            }
        }
        if members.is_empty() {
            return Json::String(text);
        }
        // Between elements, white space is layout.
        let text = if has_elements { text.trim() } else { text.as_str() };
        if !text.is_empty() {
            members.insert("#text".to_owned(), Json::from(text));
        }
        Json::Object(members)
    }

    /// The name as it is written, with its prefix; the tree has the namespace only.
    fn element_name(&self, element: Node<'_, '_>) -> &str {
        let tag = &self.source[element.range().start + 1..];
        let end = tag.find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>');
        &tag[..end.unwrap_or(tag.len())]
    }
}
