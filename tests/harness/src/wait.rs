//! Waiting for what happens soon, with an end.

use std::{future::Future, time::Duration};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks `look` until it answers, for `seconds` at most.
///
/// # Errors
/// When it has not answered by then, naming `what`.
pub async fn eventually<T, F>(what: &str, seconds: u64, mut look: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = Option<T>>,
{
    let waited = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(seconds), waited)
        .await
        .map_err(|_| anyhow::anyhow!("{what}: not within {seconds} s"))
}
