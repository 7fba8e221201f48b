//! What all kinds of proxies have in common: the target that is asked for, and why it isn't given.

use std::io;
use std::net::IpAddr;

use hookrail_domain::delivery::ErrorCode;

use crate::attempt::AttemptError;

/// Where a proxy is asked to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// An address, or a name where the proxy resolves.
    pub(crate) host: Result<IpAddr, String>,
    pub(crate) port: u16,
}

impl Target {
    /// As host and port of a URL.
    pub(crate) fn authority(&self) -> String {
        match &self.host {
            Ok(IpAddr::V6(v6)) => format!("[{v6}]:{}", self.port),
            Ok(IpAddr::V4(v4)) => format!("{v4}:{}", self.port),
            Err(name) => format!("{name}:{}", self.port),
        }
    }
}

/// Why a proxy gives no connection. Only what it can't reach is the receiver's fault; all else is its own.
#[derive(Debug)]
pub(crate) enum Refusal {
    NoCredentials,
    Credentials,
    /// It works, and its target doesn't.
    Unreachable(String),
    Other(String),
}

impl From<Refusal> for AttemptError {
    fn from(refusal: Refusal) -> Self {
        let proxy = |detail: String| Self::new(ErrorCode::Proxy, detail);
        match refusal {
            Refusal::NoCredentials => proxy("the proxy asks for credentials".to_owned()),
            Refusal::Credentials => proxy("the proxy doesn't take the credentials".to_owned()),
            Refusal::Other(detail) => proxy(format!("the proxy gave no connection: {detail}")),
            Refusal::Unreachable(detail) => Self::new(
                ErrorCode::Connect,
                format!("the proxy could not reach the receiver: {detail}"),
            ),
        }
    }
}

/// The connection to the proxy broke.
pub(crate) fn broken(error: &io::Error) -> AttemptError {
    AttemptError::new(
        ErrorCode::Proxy,
        format!("the connection to the proxy broke: {error}"),
    )
}
