//! Databases of somebody else, for tests that read them: written by their own tools.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

/// What SQLite is written by.
const SCRIPT: &str =
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.stdin.read()); c.close()";

/// Runs statements on a SQLite file, which is made where there is none.
///
/// # Errors
/// When they are refused.
pub fn write_sqlite(path: &Path, statements: &str) -> anyhow::Result<()> {
    let mut command = Command::new(crate::python());
    feed(command.args(["-c", SCRIPT]).arg(path), statements)
}

/// Runs statements on a PostgreSQL database.
///
/// # Errors
/// When they are refused.
pub fn write_postgres(url: &str, statements: &str) -> anyhow::Result<()> {
    let mut command = Command::new("psql");
    feed(command.args([url, "-v", "ON_ERROR_STOP=1", "-q"]), statements)
}

fn feed(command: &mut Command, statements: &str) -> anyhow::Result<()> {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().context("the database's tool can't be started")?;
    let mut input = child.stdin.take().context("its input is piped")?;
    input.write_all(statements.as_bytes())?;
    drop(input);
    let ended = child.wait_with_output()?;
    anyhow::ensure!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    Ok(())
}
