//! The data directory of `hookrail up`: made private to its user, locked by one process at a time, and the place of
//! `listen.json`. What the parts keep in it is their own.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hookrail_runtime::SettingsError;

/// A locked data directory. The lock ends with the process, however it ends.
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory where it's missing, and locks it.
    ///
    /// # Errors
    /// A wrong setting, when another process has it or it can't be made.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let wrong =
            |reason: String| SettingsError::invalid("data-dir", format!("{}: {reason}", path.display()));
        make_private(path).map_err(|error| wrong(error.to_string()))?;
        let path = path.canonicalize().map_err(|error| wrong(error.to_string()))?;
        let lock = File::create(path.join("lock")).map_err(|error| wrong(error.to_string()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(wrong("another `hookrail up` uses it".to_owned()).into()),
            Err(TryLockError::Error(error)) => Err(wrong(error.to_string()).into()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A directory in it, made where it's missing.
    ///
    /// # Errors
    /// When it can't be made.
    pub(crate) fn below(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path.join(name);
        make_private(&path).with_context(|| format!("can't make {}", path.display()))?;
        Ok(path)
    }

    /// Removes what an earlier run wrote about its addresses.
    pub(crate) fn forget_listeners(&self) {
        // It isn't there in a new directory.
        let _ = std::fs::remove_file(self.path.join("listen.json"));
    }

    /// Writes `listen.json` in one step, so that a reader never sees half of it.
    ///
    /// # Errors
    /// When the file can't be written.
    pub(crate) fn write_listeners(&self, listeners: &serde_json::Value) -> anyhow::Result<()> {
        let path = self.path.join("listen.json");
        replace_file(&path, format!("{listeners}\n").as_bytes())
            .with_context(|| format!("can't write {}", path.display()))
    }
}

/// Writes a file that only its user can read, replacing an older one in one step.
///
/// # Errors
/// When it can't be written.
pub(crate) fn replace_file(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(content)?;
    std::fs::rename(&beside, path)
}

/// Makes a folder that only its user can read, where it is missing.
pub(crate) fn make_private(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let _first = DataDir::open(folder.path()).unwrap();
        let error = DataDir::open(folder.path()).err().unwrap().to_string();
        assert!(
            error.contains("--data-dir") && error.contains("another `hookrail up`"),
            "{error}"
        );
    }

    #[test]
    fn a_released_directory_can_be_used_again() {
        let folder = tempfile::tempdir().unwrap();
        drop(DataDir::open(folder.path()).unwrap());
        assert!(DataDir::open(folder.path()).is_ok());
    }

    #[test]
    fn the_addresses_are_those_of_the_latest_run() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        for port in ["1", "2"] {
            data.write_listeners(&serde_json::json!({ "api": port })).unwrap();
        }
        let written = std::fs::read_to_string(folder.path().join("listen.json")).unwrap();
        assert_eq!(written, "{\"api\":\"2\"}\n");
        data.forget_listeners();
        assert!(!folder.path().join("listen.json").exists());
    }
}
