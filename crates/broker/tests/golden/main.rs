//! The bytes of every kind of message as they were released, in `proto/golden`, are still read as what
//! they meant. What a stream holds was written by an older version: it has to outlive an upgrade.
//!
//! A file of a released message never changes. A message that becomes different gets one more file
//! beside the old one. Files are written, deliberately, by
//! `HOOKRAIL_WRITE_GOLDEN=1 cargo test --workspace --test golden`.
#![allow(clippy::unwrap_used, reason = "tests")]

mod commands;
mod definitions;
mod flow;
mod journal;
mod responses;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hookrail_broker::codec::CodecError;

/// Set to `1`, it makes the tests write the files.
const WRITE: &str = "HOOKRAIL_WRITE_GOLDEN";

/// Reads bytes; `Err` = what was read instead of what was meant.
type Check = Box<dyn Fn(&[u8]) -> Result<(), String>>;

/// One file: what is in it, and whether that is still read as it was meant.
struct Golden {
    /// The file's name without `.bin`.
    name: &'static str,
    /// The message as this version writes it.
    bytes: Bytes,
    /// `Err` = what was read instead of what was meant.
    check: Check,
}

impl Golden {
    fn new<T>(name: &'static str, meant: T, bytes: Bytes, read: fn(&[u8]) -> Result<T, CodecError>) -> Self
    where
        T: PartialEq + Debug + 'static,
    {
        let check = move |bytes: &[u8]| match read(bytes) {
            Ok(found) if found == meant => Ok(()),
            found => Err(format!("is read as {found:#?}\nbut meant {meant:#?}")),
        };
        Self {
            name,
            bytes,
            check: Box::new(check),
        }
    }

    fn path(&self) -> PathBuf {
        folder().join(format!("{}.bin", self.name))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/golden")
}

fn all() -> Vec<Golden> {
    let mut all = flow::all();
    all.extend(journal::all());
    all.extend(definitions::all());
    all.extend(commands::all());
    all.extend(responses::all());
    all
}

fn is_writing() -> bool {
    std::env::var(WRITE).is_ok_and(|value| value == "1")
}

#[test]
fn released_messages_are_read_as_they_were_meant() {
    for golden in all() {
        let path = golden.path();
        if is_writing() {
            std::fs::write(&path, &golden.bytes).unwrap();
        }
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; {WRITE}=1 writes it", path.display()));
        if let Err(reason) = (golden.check)(&bytes) {
            panic!("{} {reason}", path.display());
        }
    }
}

#[test]
fn what_is_written_now_is_read_too_and_is_the_same_every_time() {
    for (golden, again) in all().into_iter().zip(all()) {
        assert_eq!(golden.bytes, again.bytes, "{}", golden.name);
        if let Err(reason) = (golden.check)(&golden.bytes) {
            panic!("{} {reason}", golden.name);
        }
    }
}

#[test]
fn every_file_has_its_meaning() {
    let known: BTreeSet<PathBuf> = all()
        .iter()
        .map(|golden| golden.path().file_name().unwrap().into())
        .collect();
    let found = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| PathBuf::from(entry.unwrap().file_name()));
    let unknown: Vec<PathBuf> = found.filter(|name| !known.contains(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
