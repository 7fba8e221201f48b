//! `hookrail apply`: plans what has to change so that the definitions are as a file says, shows it, and does it.

use std::collections::HashMap;
use std::path::PathBuf;

use hookrail_domain::json::Json;

use crate::api::{Api, ApiArgs};
use crate::definition_file::{self, Written};
use crate::definition_kind::Kind;
use crate::error::ClientError;
use crate::export::existing_of;
use crate::output::{self, line, note};
use crate::plan::{self, Action, Existing};
use crate::references::References;

/// What `apply` is told.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct ApplyArgs {
    /// The file: YAML or JSON; `-` = standard input
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,

    /// Only show what would change
    #[arg(long)]
    dry_run: bool,

    /// With --dry-run: end with 2 where something would change
    #[arg(long, requires = "dry_run")]
    exit_code: bool,

    /// Delete the definitions with this label that are not in the file
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    prune: Option<(String, String)>,

    /// Write all secrets of the file, also those whose last characters are the same as before
    #[arg(long)]
    write_secrets: bool,

    /// Save destinations without asking their receivers
    #[arg(long)]
    no_probe: bool,

    #[command(flatten)]
    api: ApiArgs,
}

const HELP: &str = "The file has a list for each kind, all optional: event_types, connections, fetchers, sources, destinations, routes,
syncs. A definition is known by its name, and names others by theirs:

  sources:
    - name: shop
      labels: {team: sales}
      auth: {type: signature, scheme: shopify, secrets: [\"${SHOP_SECRET}\"]}
  destinations:
    - {name: crm, url: https://crm.example.com/hook, labels: {team: sales}}
  routes:
    - {name: shop-to-crm, source: shop, destination: crm}

What a definition doesn't mention has its default. ${NAME} is an environment variable's value. Secrets can't be read
back: one counts as changed where its last four characters are others, and one that isn't mentioned stays.
Changes are made one after another; each is refused where somebody else changed the same definition meanwhile.";

fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// One definition, and what happens to it.
struct Step {
    kind: Kind,
    name: String,
    document: Json,
    existing: Option<Existing>,
    action: Action,
}

impl ApplyArgs {
    pub(crate) async fn run(self) -> Result<(), ClientError> {
        let written = definition_file::read(&self.file)?;
        let api = self.api.connect()?;
        let (steps, mut references) = self.plan(&api, &written).await?;
        self.show(&steps);
        let changing = steps.iter().filter(|step| step.action != Action::Keep).count();
        if self.dry_run {
            if self.exit_code && changing > 0 {
                std::process::exit(2);
            }
            return Ok(());
        }
        let mut done = 0;
        for step in steps.iter().filter(|step| step.action != Action::Keep) {
            self.carry_out(&api, step, &mut references)
                .await
                .map_err(|error| {
                    let (what, name) = (step.kind.what(), &step.name);
                    ClientError::Failed(format!(
                        "{what} {name:?}: {error}\n{done} of {changing} changes were made"
                    ))
                })?;
            done += 1;
        }
        note(&format!("{done} of {changing} changes made"));
        Ok(())
    }

    async fn plan(&self, api: &Api, written: &[Written]) -> Result<(Vec<Step>, References), ClientError> {
        let mut there: HashMap<(Kind, String), Existing> = HashMap::new();
        let mut references = References::default();
        for kind in Kind::ALL {
            for (name, existing) in existing_of(api, kind).await? {
                references.add(kind, &name, &existing.id);
                there.insert((kind, name), existing);
            }
        }
        for one in written {
            references.announce(one.kind, &one.name);
        }
        let (mut steps, mut faults) = (Vec::new(), Vec::new());
        for kind in Kind::ALL {
            for one in written.iter().filter(|one| one.kind == kind) {
                let existing = there.remove(&(kind, one.name.clone()));
                match self.step(one, existing, &references) {
                    Ok(step) => steps.push(step),
                    Err(fault) => faults.push(format!("{}{fault}", one.pointer)),
                }
            }
        }
        if !faults.is_empty() {
            let file = self.file.display();
            return Err(ClientError::Usage(format!("{file}:\n  {}", faults.join("\n  "))));
        }
        steps.extend(self.pruned(there));
        Ok((steps, references))
    }

    fn step(
        &self,
        one: &Written,
        existing: Option<Existing>,
        references: &References,
    ) -> Result<Step, String> {
        let document = references.with_ids(one.kind, &one.document)?;
        let completed = one
            .kind
            .completed(&document)
            .map_err(|fault| format!(": {fault}"))?;
        if let Some((key, value)) = &self.prune {
            let labels = completed.get("labels");
            let has = labels.and_then(|labels| labels.get(key)).and_then(Json::as_str) == Some(value);
            if labels.is_some() && !has {
                return Err(format!(
                    "/labels: lacks {key}={value}, by which --prune would know it"
                ));
            }
        }
        let action = match &existing {
            None => Action::Create,
            Some(existing) => plan::update(
                one.kind,
                &existing.document,
                &document,
                &completed,
                self.write_secrets,
            ),
        };
        Ok(Step {
            kind: one.kind,
            name: one.name.clone(),
            document,
            existing,
            action,
        })
    }

    /// What goes because the file doesn't have it: what names others before these.
    fn pruned(&self, there: HashMap<(Kind, String), Existing>) -> Vec<Step> {
        let Some((key, value)) = &self.prune else {
            return Vec::new();
        };
        let has_label = |existing: &Existing| {
            let labels = existing.document.get("labels");
            labels.and_then(|labels| labels.get(key)).and_then(Json::as_str) == Some(value)
        };
        let gone = there.into_iter().filter(|(_, existing)| has_label(existing));
        let mut steps: Vec<Step> = gone
            .map(|((kind, name), existing)| Step {
                kind,
                name,
                document: Json::Null,
                existing: Some(existing),
                action: Action::Delete,
            })
            .collect();
        let rank = |kind: Kind| Kind::ALL.iter().position(|known| *known == kind);
        steps.sort_by(|a, b| rank(b.kind).cmp(&rank(a.kind)).then_with(|| a.name.cmp(&b.name)));
        steps
    }

    fn show(&self, steps: &[Step]) {
        for step in steps {
            match self.api.json {
                true => line(&step.to_json().to_string()),
                false => step.lines().iter().for_each(|text| line(text)),
            }
        }
        let count = |sign: &str| steps.iter().filter(|step| step.sign() == sign).count();
        note(&format!(
            "{} to create, {} to change, {} to delete, {} as they are",
            count("+"),
            count("~"),
            count("-"),
            count("=")
        ));
    }

    async fn carry_out(
        &self,
        api: &Api,
        step: &Step,
        references: &mut References,
    ) -> Result<(), ClientError> {
        let probe = if self.no_probe && step.kind.is_probed() {
            "?probe=false"
        } else {
            ""
        };
        let path = step.kind.path();
        let etag = step
            .existing
            .as_ref()
            .and_then(|existing| existing.etag.as_deref());
        let id = step
            .existing
            .as_ref()
            .map(|existing| existing.id.as_str())
            .unwrap_or_default();
        match &step.action {
            Action::Keep => Ok(()),
            Action::Delete => api.delete(&format!("{path}/{id}"), etag).await,
            Action::Update { patch, .. } => {
                let patch = references.settled(step.kind, patch);
                api.patch(&format!("{path}/{id}{probe}"), &patch, etag)
                    .await
                    .map(drop)
            }
            Action::Create => {
                let document = references.settled(step.kind, &step.document);
                let created = api.post(&format!("{path}{probe}"), &document).await?;
                let id = created.get("id").and_then(Json::as_str).unwrap_or(&step.name);
                references.add(step.kind, &step.name, id);
                Ok(())
            }
        }
    }
}

impl Step {
    fn sign(&self) -> &'static str {
        match self.action {
            Action::Create => "+",
            Action::Update { .. } => "~",
            Action::Delete => "-",
            Action::Keep => "=",
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} {} {}", self.sign(), self.kind.what(), self.name)];
        if let Action::Update { changes, .. } = &self.action {
            let changed = changes.iter().map(|change| {
                let (from, to) = (output::short(&change.from), output::short(&change.to));
                format!("    {}: {from} -> {to}", change.field)
            });
            lines.extend(changed);
        }
        lines
    }

    fn to_json(&self) -> Json {
        let action = match self.action {
            Action::Create => "create",
            Action::Update { .. } => "update",
            Action::Delete => "delete",
            Action::Keep => "keep",
        };
        let changes = match &self.action {
            Action::Update { changes, .. } => changes.as_slice(),
            _ => &[],
        };
        let changes = changes.iter().map(|change| {
            Json::from([
                ("field", Json::from(change.field.as_str())),
                ("from", change.from.clone()),
                ("to", change.to.clone()),
            ])
        });
        Json::from([
            ("action", Json::from(action)),
            ("kind", self.kind.what().into()),
            ("name", self.name.as_str().into()),
            ("changes", changes.collect()),
        ])
    }
}
