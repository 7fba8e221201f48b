//! Which SQLite files may be read: those below one directory, by paths without links, so that no path leads out of
//! it.

use std::path::{Component, Path, PathBuf};

/// Why a file may not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlitePathError {
    /// It lies elsewhere.
    #[error("is not below the directory of the setting sync-sqlite-dir")]
    Outside,
    /// A part of its path is a link.
    #[error("has a symbolic link in its path")]
    Link,
    /// There is no such file.
    #[error("leads to no file")]
    NoFile,
}

/// The file at `path`, absolute or below `directory`.
///
/// # Errors
/// When it lies elsewhere, there is none, or a link is on the way.
pub fn checked_path(directory: &Path, path: &str) -> Result<PathBuf, SqlitePathError> {
    let directory = directory.canonicalize().map_err(|_| SqlitePathError::NoFile)?;
    let wanted = directory.join(path);
    let below = wanted
        .strip_prefix(&directory)
        .map_err(|_| SqlitePathError::Outside)?;
    let mut checked = directory.clone();
    for component in below.components() {
        let Component::Normal(name) = component else {
            return Err(SqlitePathError::Outside);
        };
        checked.push(name);
        let metadata = checked.symlink_metadata().map_err(|_| SqlitePathError::NoFile)?;
        if metadata.is_symlink() {
            return Err(SqlitePathError::Link);
        }
    }
    match checked.is_file() {
        true => Ok(checked),
        false => Err(SqlitePathError::NoFile),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_below_the_directory_are_read() {
        let root = tempfile::tempdir().unwrap();
        let base = root.path().canonicalize().unwrap();
        let directory = base.join("dir");
        std::fs::create_dir_all(directory.join("a")).unwrap();
        std::fs::write(directory.join("a/shop.db"), "").unwrap();
        std::fs::write(base.join("other.db"), "").unwrap();
        std::os::unix::fs::symlink(base.join("other.db"), directory.join("link.db")).unwrap();
        std::os::unix::fs::symlink(&base, directory.join("up")).unwrap();
        let check = |path: &str, expected: Result<(), SqlitePathError>| {
            assert_eq!(checked_path(&directory, path).map(drop), expected, "{path}");
        };
        let inside = directory.join("a/shop.db").display().to_string();
        check("a/shop.db", Ok(()));
        check(&inside, Ok(()));
        check(
            &base.join("other.db").display().to_string(),
            Err(SqlitePathError::Outside),
        );
        check("../other.db", Err(SqlitePathError::Outside));
        check("link.db", Err(SqlitePathError::Link));
        check("up/other.db", Err(SqlitePathError::Link));
        check("missing.db", Err(SqlitePathError::NoFile));
        check("a", Err(SqlitePathError::NoFile));
    }
}
