//! Finds the `nats-server` program that `hookrail up` starts, and checks its version. Starting it is
//! [`crate::nats_server`]'s work.

use std::path::{Path, PathBuf};
use std::process::Command;

use hookrail_runtime::SettingsError;

/// The first version with all that streams and consumers here need (per-message TTL, atomic batches, priority groups).
const OLDEST: (u32, u32) = (2, 12);

/// Where `make tools` puts the program, below the directory of the sources.
const BESIDE_SOURCES: &str = ".tools/bin/nats-server";

/// Finds the program: the setting, else `PATH`, else `.tools/bin` beside the current directory or above the executable.
/// A program that is too old is passed over, unless the setting names it.
///
/// # Errors
/// A wrong setting that says what was looked for.
pub(crate) fn find(wanted: Option<&Path>) -> Result<PathBuf, SettingsError> {
    if let Some(path) = wanted {
        check(path).map_err(|reason| wrong(&reason))?;
        return Ok(path.to_owned());
    }
    let mut refused = Vec::new();
    for candidate in candidates() {
        match check(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(reason) => refused.push(reason),
        }
    }
    let found = if refused.is_empty() {
        String::new()
    } else {
        format!(" ({})", refused.join("; "))
    };
    Err(wrong(&format!(
        "no nats-server {}.{} or later in PATH or {BESIDE_SOURCES}{found}; `make tools` fetches one, or name a running one with --nats-url",
        OLDEST.0, OLDEST.1
    )))
}

fn wrong(reason: &str) -> SettingsError {
    SettingsError::invalid("nats-server", reason)
}

/// Programs that exist, in the order they are to be tried.
fn candidates() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates: Vec<PathBuf> = std::env::split_paths(&path)
        .map(|folder| folder.join("nats-server"))
        .collect();
    let executable = std::env::current_exe().unwrap_or_default();
    candidates.extend(
        std::env::current_dir()
            .ok()
            .map(|folder| folder.join(BESIDE_SOURCES)),
    );
    candidates.extend(
        executable
            .ancestors()
            .skip(1)
            .map(|folder| folder.join(BESIDE_SOURCES)),
    );
    candidates.retain(|candidate| candidate.is_file());
    candidates
}

fn check(program: &Path) -> Result<(), String> {
    let shown = program.display();
    let output = Command::new(program)
        .arg("--version")
        .output()
        .map_err(|error| format!("{shown}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let version = version_of(&text)
        .ok_or_else(|| format!("{shown}: answers `{text}` to --version, not as a nats-server"))?;
    if version < OLDEST {
        return Err(format!("{shown}: version {}.{} is too old", version.0, version.1));
    }
    Ok(())
}

/// Reads `nats-server: v2.15.1`.
fn version_of(text: &str) -> Option<(u32, u32)> {
    let version = text.strip_prefix("nats-server: ")?.trim_start_matches('v');
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_the_server_prints_it() {
        for (text, expected) in [
            ("nats-server: v2.15.1", Some((2, 15))),
            ("nats-server: 2.9.10", Some((2, 9))),
            ("nats-server", None),
            ("bash 5.2", None),
        ] {
            assert_eq!(version_of(text), expected, "{text}");
        }
    }

    #[test]
    fn a_program_that_is_no_nats_server_is_refused_by_name() {
        let error = find(Some(Path::new("/bin/true"))).unwrap_err().to_string();
        assert!(
            error.contains("--nats-server") && error.contains("/bin/true"),
            "{error}"
        );
    }
}
