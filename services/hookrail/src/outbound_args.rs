//! Which networks webhooks may go out to, and through which proxy. Guard and proxy themselves are in the
//! outbound crate.

use std::str::FromStr;

use hookrail_outbound::OutboundProxy;
use hookrail_runtime::{Secret, SettingsError};
use ipnet::IpNet;

/// Settings of the guard against private addresses, and of the proxy.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct OutboundArgs {
    /// Private networks that webhooks may go out to, separated by commas; public addresses are always allowed.
    /// Given, it replaces the default: nothing, and in `hookrail up` 127.0.0.0/8,::1/128
    #[arg(long, value_name = "CIDR,…", help_heading = "Outbound")]
    outbound_allow: Option<Networks>,

    /// Proxy that all webhooks, probes and fetches go out through whose destination has none of its own:
    /// http://[user:password@]host:port (HTTP CONNECT) or socks5://…
    #[arg(long, value_name = "URL", help_heading = "Outbound")]
    outbound_proxy: Option<Secret>,

    /// What doesn't go through it, separated by commas: names (and all below them), addresses and networks as
    /// they are written in URLs, or *
    #[arg(long, value_name = "HOST,…", help_heading = "Outbound")]
    outbound_no_proxy: Option<String>,

    /// Lets that proxy resolve names. Then it alone keeps webhooks from private networks: what a name resolves
    /// to isn't seen here
    #[arg(long, help_heading = "Outbound")]
    outbound_proxy_resolves: bool,
}

/// A list of networks; empty text = none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Networks(Vec<IpNet>);

impl OutboundArgs {
    /// The networks on a cluster: none by default.
    pub(crate) fn on_a_cluster(&self) -> Vec<IpNet> {
        self.outbound_allow
            .as_ref()
            .map(|networks| networks.0.clone())
            .unwrap_or_default()
    }

    /// The networks on a laptop: the machine itself by default, so that a receiver can be tried there.
    pub(crate) fn on_a_laptop(&self) -> Vec<IpNet> {
        let loopback = || {
            vec![IpNet::from_str("127.0.0.0/8"), IpNet::from_str("::1/128")]
                .into_iter()
                .flatten()
                .collect()
        };
        self.outbound_allow
            .as_ref()
            .map_or_else(loopback, |networks| networks.0.clone())
    }
}

impl OutboundArgs {
    /// The proxy, where one is set.
    ///
    /// # Errors
    /// What of its settings can't be read.
    pub(crate) fn proxy(&self) -> Result<Option<OutboundProxy>, SettingsError> {
        let except = self.outbound_no_proxy.as_deref().unwrap_or_default();
        let Some(url) = &self.outbound_proxy else {
            return match self.outbound_proxy_resolves || !except.is_empty() {
                true => Err(SettingsError::invalid(
                    "outbound-proxy",
                    "is needed with settings of it",
                )),
                false => Ok(None),
            };
        };
        let proxy = OutboundProxy::parse(url.expose(), except, self.outbound_proxy_resolves);
        proxy
            .map(Some)
            .map_err(|detail| SettingsError::invalid("outbound-proxy", detail))
    }
}

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts
            .map(|part| {
                part.parse()
                    .map_err(|_| format!("`{part}` is not a network as 10.0.0.0/8"))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_list_replaces_the_default() {
        let none = OutboundArgs {
            outbound_allow: Some("".parse().unwrap()),
            ..OutboundArgs::default()
        };
        let unset = OutboundArgs::default();
        assert!(
            none.on_a_laptop().is_empty()
                && none.on_a_cluster().is_empty()
                && unset.on_a_cluster().is_empty()
        );
        assert_eq!(unset.on_a_laptop().len(), 2);
    }

    #[test]
    fn a_proxy_that_can_not_be_meant_is_refused_without_its_password() {
        let proxy = |url: Option<&str>, except: Option<&str>| {
            let args = OutboundArgs {
                outbound_proxy: url.map(|url| Secret::from(url.to_owned())),
                outbound_no_proxy: except.map(str::to_owned),
                ..OutboundArgs::default()
            };
            args.proxy()
                .map(|proxy| proxy.is_some())
                .map_err(|error| error.to_string())
        };
        assert_eq!(proxy(None, None), Ok(false));
        assert_eq!(
            proxy(Some("socks5://u:hunter2@proxy.example:1080"), Some("*.lan")),
            Ok(true)
        );
        for (url, except) in [
            (Some("https://u:hunter2@proxy.example"), None),
            (Some("http://u:hunter2@"), None),
            (Some("http://u:hunter2@p.example"), Some("a b")),
            (None, Some("a.example")),
        ] {
            let refused = proxy(url, except).unwrap_err();
            assert!(
                refused.contains("--outbound-proxy") && !refused.contains("hunter2"),
                "{refused}"
            );
        }
    }

    #[test]
    fn what_is_no_network_is_refused_by_name() {
        assert!(
            "10.0.0.0/8, 10.0.0.1"
                .parse::<Networks>()
                .unwrap_err()
                .contains("10.0.0.1")
        );
    }
}
