//! `hookrail export`: the definitions as a file that `apply` takes.

use std::path::PathBuf;

use hookrail_domain::json::{Json, Members};

use crate::api::{Api, ApiArgs};
use crate::definition_kind::Kind;
use crate::error::ClientError;
use crate::output;
use crate::plan::Existing;
use crate::references::References;

/// Definitions of a kind that are read, at the most.
pub(crate) const MOST: usize = 100_000;

/// What `export` is told.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct ExportArgs {
    /// The file to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Only definitions with this label
    #[arg(long, value_name = "KEY=VALUE")]
    label: Option<String>,

    #[command(flatten)]
    api: ApiArgs,
}

const HELP: &str = "Secrets can't be read: each is written as {\"id\": \"sec_…\"}, by which the installation that has it keeps it. For another
installation put a variable in its place, as \"${CRM_TOKEN}\". With --json the file is JSON, else YAML.";

impl ExportArgs {
    pub(crate) async fn run(self) -> Result<(), ClientError> {
        let api = self.api.connect()?;
        let (mut lists, mut references) = (Vec::new(), References::default());
        for kind in Kind::ALL {
            let there = existing_of(&api, kind).await?;
            for (name, existing) in &there {
                references.add(kind, name, &existing.id);
            }
            lists.push((kind, there));
        }
        let mut file = Members::new();
        for (kind, there) in lists {
            let wanted = there
                .into_iter()
                .filter(|(_, existing)| self.takes(&existing.document));
            let mut list: Vec<(String, Json)> = wanted
                .map(|(name, existing)| (name, references.with_names(kind, &existing.document)))
                .collect();
            list.sort_by(|a, b| a.0.cmp(&b.0));
            if !list.is_empty() {
                file.insert(
                    kind.key().to_owned(),
                    list.into_iter().map(|(_, document)| document).collect(),
                );
            }
        }
        let text = self.text(&Json::Object(file))?;
        match &self.output {
            None => output::raw(text.as_bytes()),
            Some(path) => std::fs::write(path, text).map_err(|error| ClientError::File {
                path: path.clone(),
                error,
            })?,
        }
        Ok(())
    }

    fn takes(&self, document: &Json) -> bool {
        let Some((key, value)) = self.label.as_deref().and_then(|label| label.split_once('=')) else {
            return self.label.is_none();
        };
        let labels = document.get("labels");
        labels.and_then(|labels| labels.get(key)).and_then(Json::as_str) == Some(value)
    }

    fn text(&self, file: &Json) -> Result<String, ClientError> {
        if self.api.json {
            return Ok(format!("{}\n", output::pretty(file, 0)));
        }
        yaml(file).map_err(|error| ClientError::Failed(format!("can't write YAML: {error}")))
    }
}

fn yaml(file: &Json) -> Result<String, String> {
    let value: serde_json::Value =
        serde_json::from_str(&file.to_string()).map_err(|error| error.to_string())?;
    serde_saphyr::to_string(&value).map_err(|error| error.to_string())
}

/// The definitions of a kind that somebody wrote, by name; none where the service doesn't know the kind.
pub(crate) async fn existing_of(api: &Api, kind: Kind) -> Result<Vec<(String, Existing)>, ClientError> {
    let items = match api.list(&kind.path(), MOST).await {
        Err(ClientError::Refused { status: 404, .. }) => return Ok(Vec::new()),
        // Connections are for admins alone: whoever may not see them can still apply what has none.
        Err(ClientError::Refused { status: 403, .. }) if kind == Kind::Connections => return Ok(Vec::new()),
        items => items?,
    };
    let text = |item: &Json, name: &str| item.get(name).and_then(Json::as_str).map(str::to_owned);
    let own = items
        .iter()
        .filter(|item| item.get("built_in") != Some(&Json::Bool(true)));
    let read = own.filter_map(|item| {
        let name = text(item, "name")?;
        let existing = Existing {
            id: text(item, "id").unwrap_or_else(|| name.clone()),
            etag: text(item, "etag"),
            document: kind.written(item),
        };
        Some((name, existing))
    });
    Ok(read.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_as_it_was() {
        let text = r#"{"sources":[{"name":"on","labels":{"n":"1.0","y":"yes","z":"~"},"filter":{"all":[{"path":"$.a","op":"eq","value":9007199254740993}]},"description":"a: b\n# c\t\"d\""}]}"#;
        let file: Json = text.parse().unwrap();
        let yaml = yaml(&file).unwrap();
        let values: Vec<serde_json::Value> = serde_saphyr::from_multiple(&yaml).unwrap();
        assert_eq!(values[0].to_string().parse::<Json>().unwrap(), file, "{yaml}");
    }
}
