//! Databases of a test's own on the PostgreSQL server that `make test` starts.

use std::{ffi::OsStr, path::Path, process::Command};

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
    run("psql", [&server, "-v", "ON_ERROR_STOP=1", "-qc", &sql])?;
    Ok(Some(format!("{server}/{name}")))
}

/// Writes a consistent copy of a database, as it is while others use it, into `file`.
///
/// # Errors
/// When the server refuses, or the file can't be written.
pub fn dump_database(url: &str, file: &Path) -> anyhow::Result<()> {
    let (format, to) = (OsStr::new("--format=custom"), OsStr::new("--file"));
    run("pg_dump", [format, to, file.as_os_str(), OsStr::new(url)])
}

/// Makes the empty database `url` what `file` says.
///
/// # Errors
/// When the server refuses.
pub fn restore_database(url: &str, file: &Path) -> anyhow::Result<()> {
    let (stops, to) = (OsStr::new("--exit-on-error"), OsStr::new("--dbname"));
    run("pg_restore", [stops, to, OsStr::new(url), file.as_os_str()])
}

fn run<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> anyhow::Result<()> {
    let done = Command::new(program).args(arguments).output();
    let done = done.with_context(|| format!("{program} can't be started"))?;
    anyhow::ensure!(
        done.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}
