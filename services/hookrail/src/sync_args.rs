//! Which files syncs may read. The check of each file is the store's.

use std::path::PathBuf;

/// Settings of syncs.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct SyncArgs {
    /// The directory below which syncs may read SQLite files, of which no path may be a link [default: none]
    #[arg(long, value_name = "DIR", help_heading = "Syncs")]
    pub(crate) sync_sqlite_dir: Option<PathBuf>,
}
