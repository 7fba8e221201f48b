//! A file of definitions: YAML or JSON, one list for each kind, several documents where wanted.
//!
//! What a definition may say is the service's to judge; here it only has to have the shape of a list of named ones.

use std::io::Read as _;
use std::path::Path;

use hookrail_domain::json::Json;

use crate::definition_kind::Kind;
use crate::error::ClientError;
use crate::variables;

/// Largest file, bytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A definition as a file has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Written {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// Where it is in the file.
    pub(crate) pointer: String,
    pub(crate) document: Json,
}

/// Reads a file, `-` for standard input, and puts the values of variables in.
pub(crate) fn read(path: &Path) -> Result<Vec<Written>, ClientError> {
    let text = text_of(path).map_err(|error| ClientError::File {
        path: path.to_owned(),
        error,
    })?;
    let name = path.display().to_string();
    let documents = documents(&text).map_err(|fault| ClientError::Usage(format!("{name}: {fault}")))?;
    let mut all = Vec::new();
    for mut document in documents {
        variables::fill_in(&mut document, &|name| std::env::var(name).ok())
            .map_err(|missing| ClientError::Usage(format!("{name}{}", listed(&missing))))?;
        let written =
            definitions(document).map_err(|fault| ClientError::Usage(format!("{name}: {fault}")))?;
        all.extend(written);
    }
    match repeated(&all) {
        Some(fault) => Err(ClientError::Usage(format!("{name}: {fault}"))),
        None => Ok(all),
    }
}

fn listed(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  {line}")).collect()
}

fn text_of(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    match path == Path::new("-") {
        true => std::io::stdin().take(MAX_BYTES).read_to_string(&mut text)?,
        false => std::fs::File::open(path)?
            .take(MAX_BYTES)
            .read_to_string(&mut text)?,
    };
    Ok(text)
}

/// The documents of a YAML text; JSON is YAML.
fn documents(text: &str) -> Result<Vec<Json>, String> {
    if let Ok(json) = text.parse::<Json>() {
        return Ok(vec![json]);
    }
    let values: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
    let json = |value: serde_json::Value| {
        value
            .to_string()
            .parse::<Json>()
            .map_err(|error| error.to_string())
    };
    values
        .into_iter()
        .filter(|value| !value.is_null())
        .map(json)
        .collect()
}

fn definitions(document: Json) -> Result<Vec<Written>, String> {
    let Json::Object(members) = document else {
        return Err("has to be an object with lists of definitions, as `sources: […]`".to_owned());
    };
    let mut all = Vec::new();
    for (key, list) in members {
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.key() == key) else {
            let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.key()).collect();
            return Err(format!(
                "/{key}: there is no such kind; known are {}",
                known.join(", ")
            ));
        };
        let items = match list {
            Json::Array(items) => items,
            Json::Null => continue,
            _ => return Err(format!("/{key}: has to be a list")),
        };
        for (index, document) in items.into_iter().enumerate() {
            let pointer = format!("/{key}/{index}");
            let name = document.get("name").and_then(Json::as_str).map(str::to_owned);
            let name = name.ok_or_else(|| format!("{pointer}/name: a definition needs a name"))?;
            all.push(Written {
                kind,
                name,
                pointer,
                document,
            });
        }
    }
    Ok(all)
}

fn repeated(all: &[Written]) -> Option<String> {
    let mut seen = std::collections::HashSet::new();
    let second = all
        .iter()
        .find(|one| !seen.insert((one.kind, one.name.as_str())))?;
    Some(format!(
        "{}: there are two {}s {:?}",
        second.pointer,
        second.kind.what(),
        second.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(Kind, String)>, String> {
        let mut all = Vec::new();
        for document in documents(text)? {
            all.extend(definitions(document)?);
        }
        if let Some(fault) = repeated(&all) {
            return Err(fault);
        }
        Ok(all.into_iter().map(|one| (one.kind, one.name)).collect())
    }

    #[test]
    fn yaml_and_json_say_the_same() {
        let wanted = vec![
            (Kind::Sources, "shop".to_owned()),
            (Kind::EventTypes, "a.b".to_owned()),
        ];
        let yaml = "sources:\n  - name: shop\n    methods: [POST]\n---\nevent_types:\n- {name: a.b}\n";
        assert_eq!(read(yaml), Ok(wanted.clone()));
        assert_eq!(
            read(r#"{"sources":[{"name":"shop"}],"event_types":[{"name":"a.b"}]}"#),
            Ok(wanted)
        );
        assert_eq!(read("sources:\n"), Ok(vec![]));
    }

    #[test]
    fn a_fault_is_named_with_its_place() {
        for (text, fault) in [
            ("sorces: []", "/sorces: there is no such kind"),
            ("sources: 1", "/sources: has to be a list"),
            (
                "sources: [{enabled: true}]",
                "/sources/0/name: a definition needs a name",
            ),
            (
                "sources: [{name: a}, {name: a}]",
                "/sources/1: there are two sources",
            ),
            ("- 1", "has to be an object"),
            ("a: [", ""),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(fault), "{text}: {error}");
        }
    }

    #[test]
    fn integers_stay_as_they_are() {
        let all = documents("sources: [{name: a, labels: {n: 9007199254740993}}]").unwrap();
        assert!(all[0].to_string().contains("9007199254740993"));
    }
}
