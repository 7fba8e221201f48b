//! One log line: a JSON object with time, level, service, target, message, the event's fields, and the fields of the
//! spans around it (as `trace_id`). An event's own field wins over a span's, an inner span's over an outer one's.

use std::fmt;
use std::io::Write as _;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::clock;

/// Which service a line is from, where one process runs several: by the crate that wrote it.
const CRATES: [(&str, &str); 4] = [
    ("hookrail_ingress", "ingress"),
    ("hookrail_processor", "processor"),
    ("hookrail_dispatcher", "dispatcher"),
    ("hookrail_config", "config"),
];

/// Writes every event as one line on stderr.
pub(crate) struct JsonLines {
    service: &'static str,
}

/// The fields of a span or an event.
#[derive(Clone, Default)]
struct Fields(Map<String, Value>);

impl JsonLines {
    pub(crate) fn new(service: &'static str) -> Self {
        Self { service }
    }

    fn service_of(&self, target: &str) -> &'static str {
        let root = target.split("::").next().unwrap_or_default();
        CRATES
            .iter()
            .find(|(name, _)| *name == root)
            .map_or(self.service, |(_, service)| service)
    }

    fn line(&self, now_ms: i64, level: &str, target: &str, fields: Fields) -> Vec<u8> {
        let mut line = Map::new();
        line.insert("time".to_owned(), clock::to_rfc3339(now_ms).into());
        line.insert("level".to_owned(), level.to_lowercase().into());
        line.insert("service".to_owned(), self.service_of(target).into());
        line.insert("target".to_owned(), target.into());
        line.extend(fields.0);
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.add_missing(outer);
            }
        }
        let metadata = event.metadata();
        let line = self.line(
            clock::now_ms(),
            metadata.level().as_str(),
            metadata.target(),
            fields,
        );
        // Nobody can be told that a log line could not be written.
        let _ = std::io::stderr().lock().write_all(&line);
    }
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn add_missing(&mut self, outer: &Self) {
        for (name, value) in &outer.0 {
            if !self.0.contains_key(name) {
                self.0.insert(name.clone(), value.clone());
            }
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, expected_service: &str) {
        let mut fields = Fields::default();
        fields.0.insert("message".to_owned(), "accepted".into());
        let line = JsonLines::new("up").line(0, "INFO", target, fields);
        let expected = format!(
            r#"{{"time":"1970-01-01T00:00:00.000Z","level":"info","service":"{expected_service}","target":"{target}","message":"accepted"}}"#
        );
        assert_eq!(String::from_utf8(line).unwrap(), expected + "\n");
    }

    #[test]
    fn a_line_names_the_service_whose_code_wrote_it() {
        check("hookrail_ingress::answer", "ingress");
    }

    #[test]
    fn a_line_of_shared_code_names_the_process() {
        check("hookrail_broker::publish", "up");
    }
}
