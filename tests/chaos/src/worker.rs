//! One dispatcher process.

use std::{path::Path, process::Command};

use hookrail_harness::{ANY_PORT, Child, hookrail_binary};

use crate::installation::Installation;

/// Starts a dispatcher of this installation.
///
/// # Errors
/// When it can't be started.
pub(crate) fn start(installation: &Installation, name: &str) -> anyhow::Result<Child> {
    let mut command = Command::new(hookrail_binary());
    command.env("HOOKRAIL_KEY_RING", hookrail_harness::key_ring_text());
    command
        .args([
            "dispatcher",
            "--ops-listen",
            ANY_PORT,
            "--outbound-allow",
            "127.0.0.0/8",
        ])
        .args(installation.flags());
    Child::start(&mut command, &log(installation.folder(), name))
}

fn log(folder: &Path, name: &str) -> std::path::PathBuf {
    folder.join(format!("{name}.log"))
}
