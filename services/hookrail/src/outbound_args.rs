//! Which networks webhooks may go out to. The guard itself is in the outbound crate.

use std::str::FromStr;

use ipnet::IpNet;

/// Settings of the guard against private addresses.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OutboundArgs {
    /// Private networks that webhooks may go out to, separated by commas; public addresses are always allowed.
    /// Given, it replaces the default: nothing, and in `hookrail up` 127.0.0.0/8,::1/128
    #[arg(long, value_name = "CIDR,…", help_heading = "Outbound")]
    outbound_allow: Option<Networks>,
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
        };
        let unset = OutboundArgs { outbound_allow: None };
        assert!(
            none.on_a_laptop().is_empty()
                && none.on_a_cluster().is_empty()
                && unset.on_a_cluster().is_empty()
        );
        assert_eq!(unset.on_a_laptop().len(), 2);
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
