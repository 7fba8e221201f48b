//! `hookrail backup` and `hookrail restore`: the data directory of `hookrail up` as a folder that can be put away, and
//! back from one.
//!
//! Database and log belong together: a processor that finds a log older than its database would skip events that were
//! accepted. So they are copied together, while nothing writes to them. A folder counts as a backup once its manifest
//! is there, which is written last; nothing is restored before all of it was found to be as it was written.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use hookrail_runtime::SettingsError;
use hookrail_store::{Store, copy};

use crate::backup_files::{self, Manifest};
use crate::data_dir::DataDir;
use crate::leftover_server;

/// The database's file in a data directory.
const DATABASE: &str = "hookrail.db";

/// What `backup` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = BACKUP_HELP)]
pub(crate) struct BackupArgs {
    /// The data directory of a `hookrail up` that is stopped
    #[arg(long, value_name = "DIR", default_value = "./hookrail-data")]
    data_dir: PathBuf,

    /// The folder to make
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

/// What `restore` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// The folder that `hookrail backup` made
    #[arg(long, short, value_name = "DIR")]
    input: PathBuf,

    /// The data directory to make; it has to be empty
    #[arg(long, value_name = "DIR", default_value = "./hookrail-data")]
    data_dir: PathBuf,
}

const BACKUP_HELP: &str = "The backup has all: definitions, entities, events, what waits to be delivered, and the key ring that opens its secrets.
Keep it as safe as the data directory itself. With PostgreSQL or a NATS of your own, back those up: docs/backup.md.";

/// Copies a data directory.
///
/// # Errors
/// When it is in use or not there, when the folder is not empty, or when something can't be read or written.
pub(crate) async fn backup(args: BackupArgs) -> anyhow::Result<()> {
    let database = args.data_dir.join(DATABASE);
    if !database.is_file() {
        let reason = format!(
            "{} is not there: this is no data directory with a SQLite database",
            database.display()
        );
        return Err(SettingsError::invalid("data-dir", reason).into());
    }
    let data = DataDir::open(&args.data_dir)?;
    let nats = data.below("nats")?;
    leftover_server::end(&nats.join("server.pid"), &nats.join("nats.conf")).await;
    let output = empty("output", &args.output)?;
    copy_database(&data.path().join(DATABASE), &output.join(DATABASE)).await?;
    backup_files::copy_tree(data.path(), &output)?;
    let manifest = Manifest::of(&output)?;
    manifest.write(&output)?;
    crate::welcome::print(&format!("{} ({manifest})\n", output.display()));
    Ok(())
}

/// Makes a data directory of a backup.
///
/// # Errors
/// When the backup is not whole, when the directory is not empty, or when something can't be read or written.
pub(crate) async fn restore(args: RestoreArgs) -> anyhow::Result<()> {
    let manifest = Manifest::read(&args.input)?;
    manifest.check(&args.input)?;
    empty("data-dir", &args.data_dir)?;
    let data = DataDir::open(&args.data_dir)?;
    manifest.copy(&args.input, data.path())?;
    let store = open(&data.path().join(DATABASE)).await?;
    let checked = copy::check(&store).await;
    store.close().await?;
    checked?;
    crate::welcome::print(&format!(
        "{} ({manifest})\nStart it: hookrail up --data-dir {}\n",
        data.path().display(),
        args.data_dir.display()
    ));
    Ok(())
}

async fn copy_database(from: &Path, to: &Path) -> anyhow::Result<()> {
    let store = open(from).await?;
    let copied = copy::copy_to(&store, to).await;
    store.close().await?;
    copied.with_context(|| format!("can't copy {}", from.display()))
}

async fn open(database: &Path) -> anyhow::Result<Store> {
    let url = format!("sqlite://{}", database.display());
    Store::connect(&url)
        .await
        .with_context(|| format!("can't open {}", database.display()))
}

/// A folder that is empty, made where it is missing.
fn empty(setting: &str, path: &Path) -> anyhow::Result<PathBuf> {
    let wrong = |reason: &str| SettingsError::invalid(setting, format!("{}: {reason}", path.display()));
    crate::data_dir::make_private(path).map_err(|error| wrong(&error.to_string()))?;
    let mut there = std::fs::read_dir(path).map_err(|error| wrong(&error.to_string()))?;
    ensure!(
        there.next().is_none(),
        wrong("is not empty: nothing is written over")
    );
    Ok(path.canonicalize()?)
}
