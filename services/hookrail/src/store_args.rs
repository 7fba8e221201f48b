//! The settings of the store. Which databases a process may use depends on how it runs: SQLite has one writer, so it
//! is for `hookrail up` alone.

use std::path::Path;

use hookrail_runtime::{Secret, SettingsError};

/// Where definitions, entities and the journal are kept.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// The database: postgres://user:password@host:port/name; in `hookrail up` also sqlite://path
    /// [default in `up`: a SQLite file in --data-dir]
    #[arg(long, value_name = "URL", help_heading = "Store")]
    database_url: Option<Secret>,
}

impl StoreArgs {
    /// The database of a single service.
    ///
    /// # Errors
    /// A wrong setting, when there is none or it is SQLite.
    pub(crate) fn shared(&self) -> Result<Secret, SettingsError> {
        let Some(url) = &self.database_url else {
            return Err(SettingsError::invalid(
                "database-url",
                "is needed: postgres://user:password@host:port/name",
            ));
        };
        if is_postgres(url) {
            return Ok(url.clone());
        }
        let reason = "a single service needs PostgreSQL (postgres://…); SQLite is for `hookrail up` only";
        Err(SettingsError::invalid("database-url", reason))
    }

    /// The database of `hookrail up`: a file of its own unless another is named.
    ///
    /// # Errors
    /// A wrong setting, when it is neither PostgreSQL nor SQLite.
    pub(crate) fn own(&self, data_dir: &Path) -> Result<Secret, SettingsError> {
        match &self.database_url {
            None => Ok(Secret::from(format!(
                "sqlite://{}?mode=rwc",
                data_dir.join("hookrail.db").display()
            ))),
            Some(url) if is_postgres(url) || url.expose().starts_with("sqlite:") => Ok(url.clone()),
            Some(_) => Err(SettingsError::invalid(
                "database-url",
                "expected postgres://… or sqlite://…",
            )),
        }
    }
}

fn is_postgres(url: &Secret) -> bool {
    ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.expose().starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(url: Option<&str>) -> StoreArgs {
        StoreArgs {
            database_url: url.map(|url| Secret::from(url.to_owned())),
        }
    }

    #[test]
    fn a_single_service_refuses_sqlite_and_nothing() {
        for url in [None, Some("sqlite://x.db"), Some("mysql://x")] {
            assert!(
                args(url)
                    .shared()
                    .unwrap_err()
                    .to_string()
                    .contains("--database-url"),
                "{url:?}"
            );
        }
        assert!(args(Some("postgres://x")).shared().is_ok());
    }

    #[test]
    fn up_makes_a_file_of_its_own() {
        assert_eq!(
            args(None).own(Path::new("/data")).unwrap().expose(),
            "sqlite:///data/hookrail.db?mode=rwc"
        );
        assert!(args(Some("mysql://x")).own(Path::new("/data")).is_err());
    }
}
