//! What a verb prints: tables for people, JSON for programs, progress on stderr.

use std::io::Write as _;
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, TableStyle};
use hookrail_domain::json::Json;
use indicatif::{ProgressBar, ProgressStyle};

/// A column: its heading, and where its value is, `.` between names.
pub(crate) type Column = (&'static str, &'static str);

/// Prints a line; a closed stdout is nobody's problem.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints a line for the person, apart from what the verb gives.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints bytes as they are.
pub(crate) fn raw(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Prints items: a table, or one JSON document per line.
pub(crate) fn items(items: &[Json], columns: &[Column], json: bool) {
    if json {
        items.iter().for_each(|item| line(&item.to_string()));
        return;
    }
    if items.is_empty() {
        note("none");
        return;
    }
    line(&table(items, columns));
}

/// Prints one document: JSON, over several lines for people.
pub(crate) fn document(document: &Json, json: bool) {
    match json {
        true => line(&document.to_string()),
        false => line(&pretty(document, 0)),
    }
}

fn table(items: &[Json], columns: &[Column]) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new());
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|(heading, _)| heading.to_uppercase()));
    for item in items {
        table.add_row(columns.iter().map(|(_, path)| cell(item, path)));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// The value at a path as one cell: control characters can't reach the terminal.
pub(crate) fn cell(item: &Json, path: &str) -> String {
    let value = path.split('.').try_fold(item, |value, name| value.get(name));
    let text = match value {
        None | Some(Json::Null) => "-".to_owned(),
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(items)) if items.iter().all(Json::is_scalar) => {
            let texts: Vec<String> = items.iter().map(plain).collect();
            texts.join(", ")
        }
        Some(other) => other.to_string(),
    };
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value in a line of text: its beginning where it is long.
pub(crate) fn short(value: &Json) -> String {
    const MOST: usize = 120;
    let text: String = value
        .to_string()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// JSON over several lines; numbers as they are.
pub(crate) fn pretty(value: &Json, depth: usize) -> String {
    let (inner, outer) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    match value {
        Json::Array(items) if !items.is_empty() => {
            let items: Vec<String> = items.iter().map(|item| pretty(item, depth + 1)).collect();
            format!("[\n{inner}{}\n{outer}]", items.join(&format!(",\n{inner}")))
        }
        Json::Object(members) if !members.is_empty() => {
            let member = |(name, value): (&String, &Json)| {
                format!("{}: {}", Json::from(name.as_str()), pretty(value, depth + 1))
            };
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{\n{inner}{}\n{outer}}}", members.join(&format!(",\n{inner}")))
        }
        scalar => scalar.to_string(),
    }
}

/// A progress bar on stderr; nothing where that is no terminal.
pub(crate) fn progress(what: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    let template = "{msg} {wide_bar} {pos}/{len} {per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_what_is_there_and_nothing_that_moves_the_cursor() {
        let items: Vec<Json> = [
            r#"{"id":"evt_1","error":{"code":"path"},"n":9007199254740993}"#,
            r#"{"id":"a\u001b[2Jb","events":["x","y"]}"#,
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
        let columns = [
            ("id", "id"),
            ("error", "error.code"),
            ("n", "n"),
            ("events", "events"),
        ];
        let shown = table(&items, &columns);
        let lines: Vec<Vec<&str>> = shown
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0], ["ID", "ERROR", "N", "EVENTS"]);
        assert_eq!(lines[1], ["evt_1", "path", "9007199254740993", "-"]);
        assert_eq!(lines[2], ["a", "[2Jb", "-", "-", "x,", "y"]);
    }

    #[test]
    fn a_document_is_the_same_over_several_lines() {
        let document: Json = r#"{"a":[1,{"b":1.10}],"c":{},"d":"x\n"}"#.parse().unwrap();
        let shown = pretty(&document, 0);
        assert_eq!(shown.parse::<Json>().unwrap(), document);
        assert!(shown.lines().count() == 10 && shown.contains("1.10"), "{shown}");
    }
}
