//! The key ring: what secrets are sealed by before they are stored. Which process needs one, and where it
//! lies, is decided here; what it does is the keyring crate's.

use std::path::{Path, PathBuf};

use hookrail_broker::Broker;
use hookrail_keyring::{KeyRing, key_line, sealed_by};
use hookrail_runtime::{Secret, SettingsError, random};
use hookrail_store::{Store, secrets};

use crate::data_dir::replace_file;

/// The flag that problems are told of.
const FLAG: &str = "key-ring-file";
/// The id of the key that a first start makes.
const FIRST_KEY: &str = "first";
/// Secrets that are looked at in one query.
const PAGE: i64 = 500;

/// The keys that seal secrets at rest.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct KeyRingArgs {
    /// A file with the keys that seal secrets where they are stored, `id:key` a line, the newest first
    /// [default in `up`: key-ring in --data-dir, made at the first start]
    #[arg(long, value_name = "FILE", help_heading = "Secrets")]
    key_ring_file: Option<PathBuf>,

    /// The keys themselves, separated by commas; meant for HOOKRAIL_KEY_RING, since others see flags
    #[arg(long, value_name = "KEYS", help_heading = "Secrets", hide_short_help = true)]
    key_ring: Option<Secret>,
}

impl KeyRingArgs {
    /// The ring of a service on a cluster, which has to be given.
    ///
    /// # Errors
    /// A wrong setting, where there is none or it can't be read.
    pub(crate) fn shared(&self) -> Result<KeyRing, SettingsError> {
        let needed = "is needed: the keys that secrets are sealed by, the same for all services \
                      (id:key a line, the key as of `openssl rand -base64 32`)";
        self.given()?.ok_or_else(|| SettingsError::invalid(FLAG, needed))
    }

    /// The ring of `hookrail up`: the one given, else the one in its data directory, else a new one, which
    /// is not written yet.
    ///
    /// # Errors
    /// A wrong setting, where it can't be read.
    pub(crate) fn own(&self, data_dir: &Path) -> Result<OwnKeyRing, SettingsError> {
        let path = data_dir.join("key-ring");
        let known = |ring| OwnKeyRing {
            ring,
            unwritten: None,
        };
        if let Some(ring) = self.given()? {
            return Ok(known(ring));
        }
        if path.exists() {
            return read_file(&path).map(known);
        }
        let line = key_line(FIRST_KEY, &random::bytes());
        Ok(OwnKeyRing {
            ring: parse(&line, &path.display().to_string())?,
            unwritten: Some((path, line)),
        })
    }

    /// A variable `HOOKRAIL_KEY_RING_FILE` gives both settings, of the same file.
    fn given(&self) -> Result<Option<KeyRing>, SettingsError> {
        let text = self.key_ring.as_ref();
        let text = text
            .map(|text| parse(text.expose(), "HOOKRAIL_KEY_RING"))
            .transpose()?;
        let file = self.key_ring_file.as_deref().map(read_file).transpose()?;
        match (file, text) {
            (Some(file), Some(text)) if file != text => Err(SettingsError::invalid(
                FLAG,
                "--key-ring and --key-ring-file give different keys",
            )),
            (file, text) => Ok(file.or(text)),
        }
    }
}

/// The ring of `hookrail up`.
pub(crate) struct OwnKeyRing {
    pub(crate) ring: KeyRing,
    unwritten: Option<(PathBuf, String)>,
}

impl OwnKeyRing {
    /// Writes a new ring, readable for its user only. To be called before it seals anything, and after
    /// [`check`]: where secrets are sealed already, a new key is not what is missing.
    ///
    /// # Errors
    /// A wrong setting, where it can't be written.
    pub(crate) fn keep(&self) -> Result<(), SettingsError> {
        let Some((path, line)) = &self.unwritten else {
            return Ok(());
        };
        let written = replace_file(path, format!("{line}\n").as_bytes());
        written.map_err(|error| SettingsError::invalid(FLAG, format!("{}: {error}", path.display())))
    }
}

/// Refuses a ring that lacks a key which sealed something that is stored.
///
/// # Errors
/// A wrong setting that names the key; or that the broker or the database can't be read.
pub(crate) async fn check(broker: &Broker, store: Option<&Store>) -> anyhow::Result<()> {
    if let Some(missing) = broker.missing_key().await? {
        return Err(lacks(&missing).into());
    }
    let (Some(store), mut after) = (store, String::new()) else {
        return Ok(());
    };
    loop {
        let rows = secrets::page_after(store.reader(), &after, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after.clone_from(&last.id);
        let mut keys = rows.iter().filter_map(|row| sealed_by(&row.value));
        if let Some(missing) = keys.find(|key| !broker.settings().key_ring.holds(key)) {
            return Err(lacks(missing).into());
        }
    }
}

fn lacks(key: &str) -> SettingsError {
    let reason =
        format!("holds no key {key}, and secrets are stored that it sealed: add it, after the newest");
    SettingsError::invalid(FLAG, reason)
}

fn read_file(path: &Path) -> Result<KeyRing, SettingsError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| SettingsError::invalid(FLAG, format!("{shown}: {error}")))?;
    parse(&text, &shown)
}

fn parse(text: &str, origin: &str) -> Result<KeyRing, SettingsError> {
    KeyRing::parse(text).map_err(|error| SettingsError::invalid(FLAG, format!("{origin} {error}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn args(file: Option<&Path>, text: Option<&str>) -> KeyRingArgs {
        KeyRingArgs {
            key_ring_file: file.map(Path::to_owned),
            key_ring: text.map(|text| Secret::from(text.to_owned())),
        }
    }

    #[test]
    fn up_makes_a_ring_once_that_only_its_user_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let first = args(None, None).own(folder.path()).unwrap();
        assert!(
            !folder.path().join("key-ring").exists(),
            "not before it was checked"
        );
        first.keep().unwrap();
        let mode = std::fs::metadata(folder.path().join("key-ring"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = args(None, None).own(folder.path()).unwrap();
        assert_eq!(second.ring, first.ring);
    }

    #[test]
    fn a_cluster_is_told_which_setting_is_missing_or_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ring");
        std::fs::write(&path, key_line("a", &[1; 32])).unwrap();
        let other = key_line("a", &[2; 32]);
        let check = |args: KeyRingArgs, told: &str| {
            let error = args.shared().unwrap_err().to_string();
            assert!(
                error.contains("--key-ring-file") && error.contains(told),
                "{error}"
            );
            assert!(!error.contains(&other), "{error}");
        };
        check(args(None, None), "is needed");
        check(args(Some(Path::new("/nowhere/ring")), None), "/nowhere/ring");
        check(args(None, Some("nonsense")), "HOOKRAIL_KEY_RING");
        check(args(Some(&path), Some(&other)), "different keys");
        let same = key_line("a", &[1; 32]);
        assert!(args(Some(&path), Some(&same)).shared().is_ok());
    }
}
