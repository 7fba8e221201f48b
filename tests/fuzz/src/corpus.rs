//! The inputs that each target is tried with first, as files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The folder of a target's inputs.
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// A target's inputs, in an order of their own: its folder's, and of contracts all released messages.
///
/// # Errors
/// There are none.
pub fn load(target: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut paths = files(&folder(target))?;
    if target == "contracts" {
        paths.extend(files(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/golden"),
        )?);
    }
    anyhow::ensure!(!paths.is_empty(), "{target} has no corpus");
    paths
        .iter()
        .map(|path| fs::read(path).with_context(|| format!("{}", path.display())))
        .collect()
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

/// Keeps an input that broke a promise.
///
/// # Errors
/// It can't be written.
pub fn keep(target: &str, number: u64, input: &[u8]) -> anyhow::Result<PathBuf> {
    let path = folder(target).join(format!("found-{number}"));
    fs::write(&path, input)?;
    Ok(path)
}
