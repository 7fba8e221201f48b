//! The files of a backup, and the manifest that says what each has to be.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The manifest's name.
const MANIFEST: &str = "manifest.json";
/// The version of the manifest's form.
const FORMAT: u32 = 1;
/// Files of a data directory that say something of one run only, or are copied in another way.
const OF_A_RUN: [&str; 8] = [
    "lock",
    "listen.json",
    "nats.log",
    "hookrail.db",
    "hookrail.db-wal",
    "hookrail.db-shm",
    "nats/server.pid",
    "nats/nats.conf",
];
/// Bytes that are copied at a time.
const PIECE_BYTES: usize = 1024 * 1024;

/// What a backup has.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    format: u32,
    /// The version of Hookrail that wrote it.
    version: String,
    files: Vec<FileEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    /// Below the folder.
    path: String,
    bytes: u64,
    /// Hexadecimal.
    sha256: String,
}

impl std::fmt::Display for Manifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes: u64 = self.files.iter().map(|file| file.bytes).sum();
        write!(f, "{} files, {bytes} bytes", self.files.len())
    }
}

impl Manifest {
    /// What a folder has.
    pub(crate) fn of(folder: &Path) -> anyhow::Result<Self> {
        let files = files_below(folder)?.into_iter().map(|path| entry(folder, &path));
        Ok(Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            files: files.collect::<anyhow::Result<_>>()?,
        })
    }

    /// Writes it, once everything else is on disk.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(MANIFEST);
        let mut file = File::create_new(&path).with_context(|| format!("can't write {}", path.display()))?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        Ok(File::open(folder)?.sync_all()?)
    }

    /// Reads that of a backup.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(MANIFEST);
        let text =
            std::fs::read(&path).with_context(|| format!("{}: this is no whole backup", path.display()))?;
        let manifest: Self =
            serde_json::from_slice(&text).with_context(|| format!("{} can't be read", path.display()))?;
        let format = manifest.format;
        ensure!(
            format == FORMAT,
            "{}: format {format} is not known to this version",
            path.display()
        );
        for file in &manifest.files {
            ensure!(
                is_below(&file.path),
                "{}: {} leads out of it",
                path.display(),
                file.path
            );
        }
        Ok(manifest)
    }

    /// Reads all files.
    pub(crate) fn check(&self, folder: &Path) -> anyhow::Result<()> {
        for file in &self.files {
            let found = entry(folder, &file.path)?;
            if (found.bytes, &found.sha256) != (file.bytes, &file.sha256) {
                bail!(
                    "{} is not as it was written: nothing was restored",
                    folder.join(&file.path).display()
                );
            }
        }
        Ok(())
    }

    /// Copies its files, the database last: a folder without it is refused by `hookrail up`.
    pub(crate) fn copy(&self, from: &Path, to: &Path) -> anyhow::Result<()> {
        let is_database = |file: &&FileEntry| file.path == "hookrail.db";
        let rest = self.files.iter().filter(|file| !is_database(file));
        for file in rest.chain(self.files.iter().filter(is_database)) {
            copy_file(&from.join(&file.path), &to.join(&file.path))?;
        }
        Ok(File::open(to)?.sync_all()?)
    }
}

/// Copies all files of a data directory that outlive a run, but for the database.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    for path in files_below(from)? {
        let is_rotated_log = path.starts_with("nats.log.");
        if !OF_A_RUN.contains(&path.as_str()) && !is_rotated_log {
            copy_file(&from.join(&path), &to.join(&path))?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    if let Some(folder) = to.parent() {
        crate::data_dir::make_private(folder)?;
    }
    std::fs::copy(from, to).with_context(|| format!("can't copy {} to {}", from.display(), to.display()))?;
    Ok(File::open(to)?.sync_all()?)
}

fn entry(folder: &Path, path: &str) -> anyhow::Result<FileEntry> {
    let at = folder.join(path);
    let mut file = File::open(&at).with_context(|| format!("can't read {}", at.display()))?;
    let (mut hash, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; PIECE_BYTES]);
    loop {
        let read = file
            .read(&mut piece)
            .with_context(|| format!("can't read {}", at.display()))?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
        bytes += read as u64;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(FileEntry {
        path: path.to_owned(),
        bytes,
        sha256,
    })
}

/// The paths of all regular files below a folder, in order.
fn files_below(folder: &Path) -> anyhow::Result<Vec<String>> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(below) = folders.pop() {
        let at = folder.join(&below);
        for item in std::fs::read_dir(&at).with_context(|| format!("can't read {}", at.display()))? {
            let item = item?;
            let path = below.join(item.file_name());
            let kind = item.file_type()?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let text = path
                    .to_str()
                    .with_context(|| format!("{} is no text", path.display()))?;
                found.push(text.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_below(path: &str) -> bool {
    let parts = Path::new(path).components();
    !path.is_empty()
        && parts
            .into_iter()
            .all(|part| matches!(part, std::path::Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_copied_is_checked_before_anything_is_restored() {
        let (data, backup, again) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        std::fs::create_dir_all(data.path().join("nats/a")).unwrap();
        std::fs::write(data.path().join("nats/a/1.blk"), b"block").unwrap();
        std::fs::write(data.path().join("lock"), b"").unwrap();
        copy_tree(data.path(), backup.path()).unwrap();
        assert!(
            Manifest::read(backup.path())
                .unwrap_err()
                .to_string()
                .contains("no whole backup")
        );
        Manifest::of(backup.path()).unwrap().write(backup.path()).unwrap();
        let manifest = Manifest::read(backup.path()).unwrap();
        assert_eq!(manifest.to_string(), "1 files, 5 bytes");
        manifest.check(backup.path()).unwrap();
        manifest.copy(backup.path(), again.path()).unwrap();
        assert_eq!(
            std::fs::read(again.path().join("nats/a/1.blk")).unwrap(),
            b"block"
        );
        std::fs::write(backup.path().join("nats/a/1.blk"), b"blocc").unwrap();
        let fault = manifest.check(backup.path()).unwrap_err().to_string();
        assert!(fault.contains("1.blk is not as it was written"), "{fault}");
    }

    #[test]
    fn a_manifest_that_leads_elsewhere_is_refused() {
        for path in ["../a", "/etc/passwd", "a/../../b", ""] {
            assert!(!is_below(path), "{path}");
        }
        assert!(is_below("nats/jetstream/$G/streams/x/msgs/1.blk"));
    }
}
