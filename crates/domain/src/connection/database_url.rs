//! The URL of a database that syncs read, taken apart: only what is known here reaches a driver, so that no parameter
//! names a file, a socket or an option of the session.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;

/// Longest URL, bytes.
const MAX_URL_BYTES: usize = 2048;

/// How a connection to a server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encryption {
    /// Where the server can.
    #[default]
    Preferred,
    /// Never.
    Disabled,
    /// Always, whatever the server's certificate.
    Required,
    /// Always, with a certificate of a known authority.
    VerifyAuthority,
}

/// Which server, and who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The user.
    pub user: String,
    /// The password.
    pub password: Option<String>,
    /// The database.
    pub database: String,
    /// How it is encrypted.
    pub encryption: Encryption,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// A database's URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// PostgreSQL.
    Postgres(Server),
    /// MySQL or MariaDB.
    Mysql(Server),
    /// A SQLite file, by its path.
    Sqlite(String),
}

/// Why a URL is none of a database that can be read. Says nothing of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// It can't be read.
    #[error("is not a URL")]
    NoUrl,
    /// It is too long.
    #[error("has more than 2048 bytes")]
    TooLong,
    /// It is of another kind.
    #[error("has to start with postgres://, mysql:// or sqlite://")]
    Scheme,
    /// A server's URL lacks a part.
    #[error("needs a {0}")]
    Missing(&'static str),
    /// A parameter that is not known.
    #[error("may have one parameter, {0}: other ones are not read")]
    Parameter(&'static str),
    /// A value of a parameter that is not known.
    #[error("{0} has to be one of {1}")]
    Value(&'static str, &'static str),
    /// A part that holds what can't be meant.
    #[error("has a part that is not text")]
    NoText,
    /// A path that leads elsewhere.
    #[error("needs a path without the segments . and ..")]
    Path,
}

const POSTGRES_MODES: &str = "disable, prefer, require, verify-ca (the host's name is not verified)";
const MYSQL_MODES: &str = "disabled, preferred, required, verify_ca (the host's name is not verified)";

impl DatabaseUrl {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// What of it can't be used.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        if text.len() > MAX_URL_BYTES {
            return Err(DatabaseUrlError::TooLong);
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            return sqlite_path(path.strip_prefix("//").unwrap_or(path)).map(Self::Sqlite);
        }
        let url = Url::parse(text).map_err(|_| DatabaseUrlError::NoUrl)?;
        match url.scheme() {
            "postgres" | "postgresql" => server(&url, 5432, "sslmode", POSTGRES_MODES).map(Self::Postgres),
            "mysql" | "mariadb" => server(&url, 3306, "ssl-mode", MYSQL_MODES).map(Self::Mysql),
            _ => Err(DatabaseUrlError::Scheme),
        }
    }

    /// The server that it leads to.
    pub fn server(&self) -> Option<&Server> {
        match self {
            Self::Postgres(server) | Self::Mysql(server) => Some(server),
            Self::Sqlite(_) => None,
        }
    }
}

fn sqlite_path(path: &str) -> Result<String, DatabaseUrlError> {
    let is_plain = |segment: &str| !matches!(segment, "." | "..");
    let fits = !path.is_empty() && !path.contains(['\0', '?', '#', '%', '\\']);
    match fits && !path.ends_with('/') && path.split('/').all(is_plain) {
        true => Ok(path.to_owned()),
        false => Err(DatabaseUrlError::Path),
    }
}

fn server(
    url: &Url,
    port: u16,
    parameter: &'static str,
    modes: &'static str,
) -> Result<Server, DatabaseUrlError> {
    let host = url.host_str().unwrap_or_default();
    let host = decoded(host.trim_start_matches('[').trim_end_matches(']'))?;
    let database = decoded(url.path().trim_start_matches('/'))?;
    let user = decoded(url.username())?;
    let missing = [
        (host.is_empty(), "host"),
        (user.is_empty(), "user"),
        (database.is_empty() || database.contains('/'), "database"),
    ];
    if let Some((_, what)) = missing.into_iter().find(|(is_missing, _)| *is_missing) {
        return Err(DatabaseUrlError::Missing(what));
    }
    // A path would be one of a socket on this machine.
    if host.contains('/') || url.fragment().is_some() {
        return Err(DatabaseUrlError::NoUrl);
    }
    Ok(Server {
        host,
        port: url.port().unwrap_or(port),
        user,
        password: url.password().map(decoded).transpose()?,
        database,
        encryption: encryption(url, parameter, modes)?,
    })
}

fn encryption(
    url: &Url,
    parameter: &'static str,
    modes: &'static str,
) -> Result<Encryption, DatabaseUrlError> {
    let mut found = Encryption::default();
    for (name, value) in url.query_pairs() {
        if name != parameter {
            return Err(DatabaseUrlError::Parameter(parameter));
        }
        found = match value.to_ascii_lowercase().replace('_', "-").as_str() {
            "disable" | "disabled" => Encryption::Disabled,
            "prefer" | "preferred" => Encryption::Preferred,
            "require" | "required" => Encryption::Required,
            "verify-ca" => Encryption::VerifyAuthority,
            _ => return Err(DatabaseUrlError::Value(parameter, modes)),
        };
    }
    Ok(found)
}

fn decoded(text: &str) -> Result<String, DatabaseUrlError> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| DatabaseUrlError::NoText)?;
    match decoded.contains('\0') {
        true => Err(DatabaseUrlError::NoText),
        false => Ok(decoded.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_taken_apart() {
        let url = "postgres://me:p%40ss@db.example.com/sales%20data?sslmode=verify-ca";
        let DatabaseUrl::Postgres(server) = DatabaseUrl::parse(url).unwrap() else {
            panic!("{url}");
        };
        assert_eq!((server.host.as_str(), server.port), ("db.example.com", 5432));
        assert_eq!(server.password.as_deref(), Some("p@ss"));
        assert_eq!(
            (server.database.as_str(), server.encryption),
            ("sales data", Encryption::VerifyAuthority)
        );
        assert!(!format!("{server:?}").contains("p@ss"));
        let url = DatabaseUrl::parse("mysql://u@[::1]:3307/d").unwrap();
        let server = url.server().unwrap();
        assert_eq!((server.host.as_str(), server.port), ("::1", 3307));
    }

    #[test]
    fn a_path_leads_nowhere_else() {
        for (url, expected) in [
            ("sqlite://shop.db", Some("shop.db")),
            ("sqlite:/srv/a/shop.db", Some("/srv/a/shop.db")),
            ("sqlite:///srv/shop.db", Some("/srv/shop.db")),
            ("sqlite://../shop.db", None),
            ("sqlite://a/./shop.db", None),
            ("sqlite://a/%2e%2e/shop.db", None),
            ("sqlite://shop.db?mode=rwc", None),
            ("sqlite://", None),
        ] {
            let found = DatabaseUrl::parse(url).ok();
            let expected = expected.map(|path| DatabaseUrl::Sqlite(path.to_owned()));
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn what_could_reach_this_machine_or_its_files_is_refused() {
        for url in [
            "postgres://u@%2Fvar%2Frun%2Fpostgresql/d",
            "postgres:///d?host=/var/run/postgresql",
            "postgres://u@h/d?host=127.0.0.1",
            "postgres://u@h/d?sslkey=/etc/passwd",
            "postgres://u@h/d?options=-c%20x=y",
            "postgres://u@h/d?sslmode=verify-full",
            "mysql://u@h/d?socket=/run/mysqld.sock",
            "mysql://u@h/",
            "mysql://h/d",
            "http://u@h/d",
            "no url",
        ] {
            assert!(DatabaseUrl::parse(url).is_err(), "{url}");
        }
    }
}
