//! The configuration of the private nats-server, as a file that we write (its format takes JSON), and the files beside
//! it. Running the server is [`crate::nats_server`]'s work.

use std::path::{Path, PathBuf};

use hookrail_runtime::{Secret, random};
use serde_json::json;

use crate::data_dir::replace_file;

/// The user that clients of the private server name.
const USER: &str = "hookrail";

/// What the server takes as one message: larger than any that is published, so that none resets the connection.
const MAX_PAYLOAD_BYTES: u64 = 2 * 1024 * 1024;

/// How much the streams' limits may add up to. It only has to be larger than their sum: the disk is the limit.
const MAX_STORE_BYTES: u64 = 1 << 40;

/// The server's log turns over at this size; one older file is kept.
const LOG_BYTES: u64 = 16 * 1024 * 1024;

/// When the server syncs its files to the disk (setting `--nats-sync`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyncInterval(String);

impl std::str::FromStr for SyncInterval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
        let unit = &text[digits.len()..];
        let is_duration =
            matches!(unit, "ms" | "s" | "m") && digits.parse::<u32>().is_ok_and(|number| number > 0);
        if text == "always" || is_duration {
            return Ok(Self(text.to_owned()));
        }
        Err("expected `always`, or a duration as 500ms, 10s or 2m".to_owned())
    }
}

impl std::fmt::Display for SyncInterval {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The files of the private server, all in one directory.
pub(crate) struct NatsFiles {
    folder: PathBuf,
    log: PathBuf,
    sync: SyncInterval,
}

impl NatsFiles {
    /// `folder` is the server's own; `log` is its log file.
    pub(crate) fn new(folder: PathBuf, log: PathBuf, sync: SyncInterval) -> Self {
        Self { folder, log, sync }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("nats.conf")
    }

    pub(crate) fn pid(&self) -> PathBuf {
        self.folder.join("server.pid")
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// The file in which a server says on which port it listens, once it does.
    pub(crate) fn ports(&self, program: &Path, pid: u32) -> PathBuf {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        self.folder.join(format!("{name}_{pid}.ports"))
    }

    /// Removes the ports files of earlier servers: in a container the next one may get the same process id.
    ///
    /// # Errors
    /// When the directory can't be read or a file can't be removed.
    pub(crate) fn forget_ports(&self) -> std::io::Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "ports") {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// The password, made at the first start and kept.
    ///
    /// # Errors
    /// When it can't be read or written.
    pub(crate) fn password(&self) -> std::io::Result<Secret> {
        let path = self.folder.join("password");
        if !path.exists() {
            replace_file(&path, random::hex_token::<24>().as_bytes())?;
        }
        Ok(Secret::from(std::fs::read_to_string(&path)?.trim().to_owned()))
    }

    /// The URL of the server for clients.
    pub(crate) fn url(password: &Secret, port: u16) -> Secret {
        Secret::from(format!("nats://{USER}:{}@127.0.0.1:{port}", password.expose()))
    }

    /// Writes the configuration; without a port, the server takes any free one.
    ///
    /// # Errors
    /// When it can't be written.
    pub(crate) fn write_config(&self, password: &Secret, port: Option<u16>) -> std::io::Result<()> {
        let config = json!({
            "server_name": "hookrail-up",
            "host": "127.0.0.1",
            "port": port.map_or(-1, i32::from),
            "authorization": {"user": USER, "password": password.expose()},
            "max_payload": MAX_PAYLOAD_BYTES,
            "pid_file": self.pid(),
            "ports_file_dir": self.folder,
            "log_file": self.log,
            "logfile_size_limit": LOG_BYTES,
            "logfile_max_num": 2,
            "jetstream": {
                "store_dir": self.folder.join("store"),
                "sync_interval": self.sync.0,
                "max_file_store": MAX_STORE_BYTES,
            },
        });
        replace_file(&self.config(), format!("{config:#}\n").as_bytes())
    }
}

/// Reads the first client port of a ports file; `None` while it is not there or not complete.
pub(crate) fn read_port(path: &Path) -> Option<u16> {
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let url = ports.get("nats")?.get(0)?.as_str()?;
    url.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_interval_is_always_or_a_duration() {
        for (text, expected) in [
            ("always", true),
            ("2m", true),
            ("500ms", true),
            ("0s", false),
            ("", false),
            ("s", false),
            ("1h", false),
            ("never", false),
        ] {
            assert_eq!(text.parse::<SyncInterval>().is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn the_password_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let files = NatsFiles::new(
            folder.path().to_owned(),
            folder.path().join("nats.log"),
            SyncInterval("2m".to_owned()),
        );
        let first = files.password().unwrap();
        assert_eq!(files.password().unwrap(), first);
        assert_eq!(first.expose().len(), 48);
    }

    #[test]
    fn a_ports_file_gives_the_port_and_half_of_one_gives_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nats-server_1.ports");
        assert_eq!(read_port(&path), None);
        std::fs::write(&path, r#"{"nats":["nats://127.0.0.1:41233"]}"#).unwrap();
        assert_eq!(read_port(&path), Some(41233));
        std::fs::write(&path, r#"{"nats":["#).unwrap();
        assert_eq!(read_port(&path), None);
    }
}
