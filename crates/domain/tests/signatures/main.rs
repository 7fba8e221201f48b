//! Signatures as senders make them: each holds, and none with one byte changed does.

mod greetings;
mod rules;
mod vector;

use std::path::{Path, PathBuf};
use std::process::Command;

use hookrail_domain::signature::PRESETS;
use serde_json::Value;
use vector::Vector;

#[test]
fn what_senders_libraries_and_recipes_sign_holds_and_nothing_else_does() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signatures/made.py");
    let made = Command::new(python())
        .arg(script)
        .output()
        .expect("python runs: make tools");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = String::from_utf8(made.stdout).unwrap();
    let vectors: Vec<Vector> = text
        .lines()
        .map(|line| read(&serde_json::from_str(line).unwrap()))
        .collect();
    for preset in PRESETS.iter() {
        assert!(
            vectors.iter().any(|vector| vector.scheme == preset.name),
            "{} has a vector",
            preset.name
        );
    }
    check("made by senders' libraries and recipes", &vectors);
}

#[test]
fn the_page_about_senders_lists_every_preset() {
    let page = include_str!("../../../../docs/senders.md");
    for preset in PRESETS.iter() {
        let row = format!("| {} | `{}` | {} |", preset.sender, preset.name, preset.secret);
        assert!(page.contains(&row), "docs/senders.md has no row {row}");
    }
}

#[test]
fn published_vectors_hold_and_nothing_else_does() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/signatures/vectors.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED: {} is not there", path.display());
        return;
    };
    let listed: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut vectors: Vec<Vector> = Vec::new();
    for value in &listed {
        let mut vector = published(value);
        // A line with headers only says that another library signs the same webhook in the same way.
        if value["secret"].is_null() && value["public_key"].is_null() {
            let same = vectors
                .iter()
                .find(|known| known.scheme == vector.scheme)
                .unwrap();
            let mut headers = same.headers.clone();
            headers.retain(|(name, _)| vector.headers.iter().all(|(known, _)| known != name));
            headers.extend(vector.headers);
            vector = Vector {
                headers,
                by: vector.by,
                ..same.clone()
            };
        }
        vectors.push(vector);
    }
    assert_eq!(vectors.len(), listed.len());
    check("published", &vectors);
}

/// Every vector holds; every forgery of it doesn't.
#[expect(clippy::print_stdout, reason = "the counts are what the test is asked for")]
fn check(what: &str, vectors: &[Vector]) {
    let mut refused = 0;
    for vector in vectors {
        let name = format!("{} ({}) {}", vector.scheme, vector.by, vector.url);
        let verified = vector.verify();
        assert!(verified.is_ok(), "{name}: {verified:?}");
        let forgeries = vector.forgeries();
        assert!(forgeries.len() > 1, "{name} has forgeries");
        for (change, forgery) in forgeries {
            let verified = forgery.verify();
            assert!(verified.is_err(), "{name} with another {change} is {verified:?}");
            refused += 1;
        }
    }
    println!(
        "{what}: {} hold, {refused} with one change are refused",
        vectors.len()
    );
}

fn read(value: &Value) -> Vector {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let list = |name: &str| match value[name].as_array() {
        Some(items) => items
            .iter()
            .map(|item| item.as_str().expect("a text").to_owned())
            .collect(),
        None => Vec::new(),
    };
    let mut headers = pairs(&value["headers"]);
    let extra = pairs(&value["uncovered_headers"]);
    let mut uncovered = list("uncovered");
    uncovered.extend(extra.iter().map(|(name, _)| name.clone()));
    headers.extend(extra);
    Vector {
        scheme: text("scheme"),
        by: text("by"),
        secret: text("secret"),
        method: text("method"),
        url: text("url"),
        headers,
        body: data_encoding::HEXLOWER
            .decode(text("body").as_bytes())
            .expect("hex"),
        now_ms: value["now_ms"].as_i64().expect("a time"),
        covers: list("covers"),
        covers_texts: list("covers_texts"),
        uncovered,
        certificate: value["certificate"].as_str().map(str::to_owned),
    }
}

/// A line of the published ones, whose members differ by sender.
fn published(value: &Value) -> Vector {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let mut headers = pairs(&value["headers"]);
    let body = match value["params"].is_null() {
        true => text("body"),
        false => {
            headers.push((
                "Content-Type".to_owned(),
                "application/x-www-form-urlencoded".to_owned(),
            ));
            url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(pairs(&value["params"]))
                .finish()
        }
    };
    let in_header = headers
        .iter()
        .find(|(name, _)| name.to_lowercase().ends_with("timestamp"));
    let signed_at = in_header.and_then(|(_, value)| value.parse().ok());
    let now_s = value["now"].as_i64().or(signed_at).unwrap_or_default();
    let signs_url = !value["url"].is_null();
    Vector {
        scheme: text("scheme"),
        by: text("lib"),
        secret: text("secret") + &text("public_key"),
        method: "POST".to_owned(),
        url: if signs_url {
            text("url")
        } else {
            "https://hooks.example.com/".to_owned()
        },
        headers,
        body: body.into_bytes(),
        now_ms: now_s * 1000,
        covers: if signs_url {
            vec!["body".to_owned(), "url".to_owned()]
        } else {
            vec!["body".to_owned()]
        },
        covers_texts: Vec::new(),
        uncovered: Vec::new(),
        certificate: None,
    }
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let members = value.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.clone(), text(value))).collect()
}

/// The interpreter that has the senders' libraries: `HOOKRAIL_TEST_PYTHON`, else where `make tools` puts it.
fn python() -> PathBuf {
    let fetched = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/venv/bin/python");
    std::env::var_os("HOOKRAIL_TEST_PYTHON").map_or_else(fetched, Into::into)
}
