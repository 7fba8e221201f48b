//! The TOML file of `--settings`: one flat table whose keys are the flags with `_` for `-`. It says what is written
//! in the file; whether a value can be used is decided by clap with all others.

use std::path::Path;

use toml::{Table, Value};

use crate::settings::SettingsError;

/// A parsed settings file; empty where none was named.
#[derive(Debug, Default)]
pub struct SettingsFile {
    path: String,
    entries: Vec<(String, Vec<String>)>,
}

impl SettingsFile {
    /// Reads the file.
    ///
    /// # Errors
    /// When it can't be read, isn't TOML, or holds a table where a value is expected.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let shown = path.display().to_string();
        let failed = |reason: String| SettingsError::File {
            path: shown.clone(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let table: Table = text
            .parse()
            .map_err(|error: toml::de::Error| failed(error.to_string()))?;
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            let texts = texts_of(value)
                .ok_or_else(|| failed(format!("`{key}` is neither a value nor a list of values")))?;
            entries.push((key, texts));
        }
        Ok(Self { path: shown, entries })
    }

    /// The values that the file gives a key.
    #[must_use]
    pub fn values(&self, key: &str) -> Option<Vec<String>> {
        self.entries
            .iter()
            .find(|entry| entry.0 == key)
            .map(|entry| entry.1.clone())
    }

    /// Refuses a key that no service knows, naming the nearest that exists.
    ///
    /// # Errors
    /// [`SettingsError::UnknownKey`].
    pub fn refuse_unknown(&self, known: &[String]) -> Result<(), SettingsError> {
        let Some((key, _)) = self.entries.iter().find(|entry| !known.contains(&entry.0)) else {
            return Ok(());
        };
        let hint = nearest(key, known).map_or(String::new(), |name| format!("; is `{name}` meant?"));
        Err(SettingsError::UnknownKey {
            path: self.path.clone(),
            key: key.clone(),
            hint,
        })
    }
}

fn texts_of(value: Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.into_iter().map(text_of).collect(),
        other => Some(vec![text_of(other)?]),
    }
}

fn text_of(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Datetime(time) => Some(time.to_string()),
        Value::Array(_) | Value::Table(_) => None,
    }
}

/// The known key with the longest common beginning, from 4 characters on.
fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a String> {
    let common = |name: &String| {
        name.bytes()
            .zip(key.bytes())
            .take_while(|(left, right)| left == right)
            .count()
    };
    known
        .iter()
        .max_by_key(|name| common(name))
        .filter(|name| common(name) >= 4)
}
