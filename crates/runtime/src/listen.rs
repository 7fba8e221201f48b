//! Addresses to listen on, and binding them. Services get bound listeners, so tests and `up` can use port 0.

use std::fmt;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::str::FromStr;

use anyhow::Context as _;

/// `host:port`, or `:port` for every address of the machine. Port 0 = any free one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    host: String,
    port: u16,
}

impl ListenAddress {
    /// Binds it; `setting` (as `ops-listen`) is named in the error.
    ///
    /// # Errors
    /// When the host does not resolve or the port is taken.
    pub fn bind(&self, setting: &str) -> anyhow::Result<TcpListener> {
        let bound = TcpListener::bind(self.candidates()?.as_slice());
        bound.with_context(|| format!("can't listen on {self} (setting --{setting})"))
    }

    fn candidates(&self) -> std::io::Result<Vec<SocketAddr>> {
        if self.host.is_empty() {
            // `::` takes IPv4 too where the machine has IPv6; where it hasn't, the second one is bound.
            let ipv6 = SocketAddr::from(([0_u16; 8], self.port));
            return Ok(vec![ipv6, SocketAddr::from(([0_u8; 4], self.port))]);
        }
        Ok((self.host.as_str(), self.port).to_socket_addrs()?.collect())
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = text.rsplit_once(':').ok_or("expected host:port or :port")?;
        let port = port
            .parse()
            .map_err(|_| format!("`{port}` is not a port (0 to 65535)"))?;
        let host = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(formatter, "[{}]:{}", self.host, self.port);
        }
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Option<&str>) {
        assert_eq!(
            ListenAddress::from_str(input)
                .ok()
                .map(|address| address.to_string())
                .as_deref(),
            expected,
            "{input}"
        );
    }

    #[test]
    fn a_host_may_be_a_name_an_address_or_nothing() {
        check("localhost:80", Some("localhost:80"));
        check("[::1]:0", Some("[::1]:0"));
        check(":8080", Some(":8080"));
    }

    #[test]
    fn what_has_no_port_is_refused() {
        check("8080", None);
        check("localhost:http", None);
        check("localhost:65536", None);
    }

    #[test]
    fn port_0_binds_a_free_one() {
        let listener = ListenAddress::from_str("127.0.0.1:0")
            .unwrap()
            .bind("ops-listen")
            .unwrap();
        assert_ne!(listener.local_addr().unwrap().port(), 0);
    }

    #[test]
    fn a_taken_port_is_an_error_that_names_the_setting() {
        let first = ListenAddress::from_str("127.0.0.1:0")
            .unwrap()
            .bind("ops-listen")
            .unwrap();
        let taken = ListenAddress::from_str(&first.local_addr().unwrap().to_string()).unwrap();
        let error = taken.bind("ops-listen").unwrap_err();
        assert!(error.to_string().contains("--ops-listen"), "{error}");
    }
}
