//! Sending or processing again: the plan first, then the work with a bar that shows how far it is.

use std::time::Duration;

use hookrail_domain::json::{Json, Members};

use crate::api::{Api, encoded};
use crate::error::ClientError;
use crate::output;

/// How often it is asked how far a replay is.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// A replay that is asked for.
pub(crate) struct Asked {
    /// `events` or `deliveries`.
    pub(crate) what: &'static str,
    pub(crate) filter: Json,
    pub(crate) ids: Vec<String>,
    pub(crate) dry_run: bool,
}

/// A filter of those that are given.
pub(crate) fn filter(parts: &[(&str, Option<&str>)]) -> Json {
    let given = parts
        .iter()
        .filter_map(|(name, value)| Some(((*name).to_owned(), Json::from((*value)?))));
    Json::Object(given.collect::<Members>())
}

/// Asks for a replay, and follows it to its end. Interrupted, the replay goes on without this.
pub(crate) async fn run(api: &Api, asked: Asked, json: bool) -> Result<(), ClientError> {
    let is_all = asked.ids.is_empty() && asked.filter.as_object().is_some_and(Members::is_empty);
    if is_all {
        return Err(ClientError::Usage(
            "say which: by ids, or by a selection".to_owned(),
        ));
    }
    let mut body = Members::new();
    body.insert("what".to_owned(), asked.what.into());
    body.insert("filter".to_owned(), asked.filter);
    if !asked.ids.is_empty() {
        body.insert("ids".to_owned(), asked.ids.into_iter().map(Json::from).collect());
    }
    body.insert("dry_run".to_owned(), asked.dry_run.into());
    let answer = api.post("/replays", &Json::Object(body)).await?;
    if asked.dry_run {
        output::document(&answer, json);
        return Ok(());
    }
    let id = answer
        .get("id")
        .and_then(Json::as_str)
        .unwrap_or_default()
        .to_owned();
    let ended = follow(api, &id).await?;
    output::document(&ended, json);
    match ended.get("status").and_then(Json::as_str) {
        Some("done") => Ok(()),
        status => Err(ClientError::Failed(format!(
            "{id} ended as {}",
            status.unwrap_or("unknown")
        ))),
    }
}

async fn follow(api: &Api, id: &str) -> Result<Json, ClientError> {
    let bar = output::progress(id);
    loop {
        let replay = api.get(&format!("/replays/{}", encoded(id))).await?;
        let number = |name: &str| {
            let value = replay.get("progress").and_then(|progress| progress.get(name));
            value
                .and_then(|value| value.to_string().parse::<u64>().ok())
                .unwrap_or_default()
        };
        bar.set_length(number("total"));
        bar.set_position(number("done"));
        let status = replay.get("status").and_then(Json::as_str).unwrap_or_default();
        if !["queued", "pending", "listing", "running"].contains(&status) {
            bar.finish_and_clear();
            return Ok(replay);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
