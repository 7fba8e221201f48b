//! `hookrail schema`: the JSON Schema of the file of `apply`, made of the API's own document, so that editors can
//! complete and check it.

use hookrail_domain::json::{Json, Members};

use crate::api::ApiArgs;
use crate::definition_kind::Kind;
use crate::error::ClientError;
use crate::output::line;
use crate::output::pretty;

/// What `schema` is told.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "For editors: hookrail schema > hookrail.schema.json, and as the first line of the file
  # yaml-language-server: $schema=hookrail.schema.json"
)]
pub struct SchemaArgs {
    #[command(flatten)]
    api: ApiArgs,
}

impl SchemaArgs {
    pub(crate) async fn run(self) -> Result<(), ClientError> {
        let document = self.api.connect()?.openapi().await?;
        let schema = schema(&document).ok_or_else(|| {
            ClientError::Failed("the service's OpenAPI document has no schemas of definitions".to_owned())
        })?;
        line(&pretty(&schema, 0));
        Ok(())
    }
}

/// The schema of a file: for each kind a list of what its POST takes.
fn schema(openapi: &Json) -> Option<Json> {
    let mut lists = Members::new();
    for kind in Kind::ALL {
        let path = format!("/api/v1{}", kind.path());
        let Some(body) = body_of(openapi, &path) else {
            continue;
        };
        let item = named(&with_own_definitions(body));
        let list = Json::from([("type", Json::from("array")), ("items", item)]);
        lists.insert(kind.key().to_owned(), list);
    }
    let schemas = openapi.get("components")?.get("schemas")?;
    (!lists.is_empty()).then(|| {
        Json::from([
            (
                "$schema",
                Json::from("https://json-schema.org/draft/2020-12/schema"),
            ),
            ("title", "Definitions of Hookrail".into()),
            ("type", "object".into()),
            ("additionalProperties", false.into()),
            ("properties", Json::Object(lists)),
            ("$defs", with_own_definitions(schemas)),
        ])
    })
}

fn body_of<'a>(openapi: &'a Json, path: &str) -> Option<&'a Json> {
    let post = openapi.get("paths")?.get(path)?.get("post")?;
    post.get("requestBody")?
        .get("content")?
        .get("application/json")?
        .get("schema")
}

/// A definition in a file, where its name is needed to know it by.
fn named(item: &Json) -> Json {
    let required = Json::from([("required", Json::from(vec![Json::from("name")]))]);
    Json::from([("allOf", Json::from(vec![item.clone(), required]))])
}

/// References into the API's document, as references into the schema.
fn with_own_definitions(schema: &Json) -> Json {
    match schema {
        Json::Object(members) => {
            let own = members
                .iter()
                .map(|(name, value)| match (name.as_str(), value.as_str()) {
                    ("$ref", Some(target)) => (
                        name.clone(),
                        target.replace("#/components/schemas/", "#/$defs/").into(),
                    ),
                    _ => (name.clone(), with_own_definitions(value)),
                });
            Json::Object(own.collect())
        }
        Json::Array(items) => items.iter().map(with_own_definitions).collect(),
        scalar => scalar.clone(),
    }
}
