//! Databases of a test's own on the PostgreSQL server that `make test` starts.

use std::process::Command;

use anyhow::Context as _;

/// Creates a database and gives its URL, or `None` where no server is given: the caller has to say
/// that it skips.
///
/// # Errors
/// When the server refuses.
pub fn create_database(name: &str) -> anyhow::Result<Option<String>> {
    // The server's URL, without a database.
    let Some(server) = std::env::var("HOOKRAIL_TEST_POSTGRES_URL")
        .ok()
        .filter(|url| !url.is_empty())
    else {
        return Ok(None);
    };
    let name = format!("{name}_{}", std::process::id());
    let sql = format!("CREATE DATABASE \"{name}\"");
    let done = Command::new("psql")
        .arg(&server)
        .args(["-v", "ON_ERROR_STOP=1", "-qc", &sql])
        .output();
    let done = done.context("psql can't be started")?;
    anyhow::ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(Some(format!("{server}/{name}")))
}
