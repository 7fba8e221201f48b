//! `hookrail rekey`: has all secrets sealed by the newest key, so that older ones can be removed.

use hookrail_domain::json::Json;

use crate::api::ApiArgs;
use crate::error::ClientError;
use crate::output;

/// Seals all secrets with the newest key.
#[derive(Debug, clap::Args)]
pub struct RekeyArgs {
    #[command(flatten)]
    api: ApiArgs,
}

impl RekeyArgs {
    /// Asks until nothing is left: each answer is about a bounded number of definitions.
    pub(crate) async fn run(self) -> Result<(), ClientError> {
        let api = self.api.connect()?;
        let (mut definitions, mut secrets) = (0, 0);
        loop {
            let done = api.post("/rekey", &Json::object()).await?;
            definitions += number(&done, "definitions");
            secrets += number(&done, "secrets");
            let key = done.get("sealed_by").map(Json::bare_text).unwrap_or_default();
            if done.get("complete") == Some(&Json::from(true)) {
                output::line(&format!(
                    "{secrets} secrets of {definitions} definitions are sealed anew; all are sealed by {key} now"
                ));
                return Ok(());
            }
            if number(&done, "definitions") == 0 {
                let told = "another config service seals with another key: give all the same key ring, then ask again";
                return Err(ClientError::Failed(told.to_owned()));
            }
        }
    }
}

fn number(answer: &Json, name: &str) -> u64 {
    let text = answer.get(name).map(Json::bare_text);
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}
