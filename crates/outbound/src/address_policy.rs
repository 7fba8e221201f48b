//! Which addresses the client may connect to: the guard against server-side request forgery.
//!
//! Pure: it is given addresses and answers yes, or no with the reason. Resolving names is done in
//! `lookup`, and holding connections to what was checked in `guarded_resolver`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::embedded_ipv4::{embedded_ipv4, only_wraps_ipv4};
use crate::refused_range::{RefusedRange, refused_ipv4, refused_ipv6};

/// An address that the policy doesn't let through, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{address} is a {range} address; the outbound_allow setting doesn't name its network")]
pub struct AddressRefused {
    /// The address as it was resolved or written.
    pub address: IpAddr,
    /// The range that it, or the IPv4 address inside it, lies in.
    pub range: RefusedRange,
}

/// What may be connected to: all public addresses, and the networks that the operator allows.
///
/// An allowed network overrides every refusal, of metadata addresses too. It is compared with the
/// address as it is, and with the IPv4 address embedded in it: `127.0.0.0/8` allows
/// `::ffff:127.0.0.1` as well.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    allow: Vec<IpNet>,
}

impl AddressPolicy {
    /// A policy that lets `allow` through besides all public addresses.
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }

    /// Checks one address.
    ///
    /// # Errors
    /// [`AddressRefused`] where the address lies in a range of [`RefusedRange`] that isn't allowed.
    pub fn check_address(&self, address: IpAddr) -> Result<(), AddressRefused> {
        let refused = match address {
            _ if self.allows(address) => None,
            IpAddr::V4(v4) => refused_ipv4(v4),
            IpAddr::V6(v6) => self.refused_inside(v6).or_else(|| refused_outside(v6)),
        };
        match refused {
            None => Ok(()),
            Some(range) => Err(AddressRefused { address, range }),
        }
    }

    /// Checks every address that a name resolved to. **One refused address refuses the name**: a
    /// name with a public and a private address is either an attack or a mistake, and dropping the
    /// private one would let the answers' order decide where a webhook goes.
    ///
    /// # Errors
    /// The first refused address.
    pub fn check_all(&self, addresses: &[IpAddr]) -> Result<(), AddressRefused> {
        addresses
            .iter()
            .try_for_each(|address| self.check_address(*address))
    }

    fn allows(&self, address: IpAddr) -> bool {
        self.allow.iter().any(|net| net.contains(&address))
    }

    /// The first embedded IPv4 address that is refused and not allowed.
    fn refused_inside(&self, address: Ipv6Addr) -> Option<RefusedRange> {
        let embedded = embedded_ipv4(address);
        let not_allowed = |v4: &Ipv4Addr| !self.allows(IpAddr::V4(*v4));
        embedded
            .into_iter()
            .flatten()
            .filter(not_allowed)
            .find_map(refused_ipv4)
    }
}

/// The refusal of the IPv6 address itself, which a mere wrapping of IPv4 hasn't.
fn refused_outside(address: Ipv6Addr) -> Option<RefusedRange> {
    if only_wraps_ipv4(address) {
        None
    } else {
        refused_ipv6(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: Option<RefusedRange>) {
        check_with(&[], address, expected);
    }

    fn check_with(allow: &[&str], address: &str, expected: Option<RefusedRange>) {
        let allow = allow.iter().map(|net| net.parse().expect("a network")).collect();
        let address: IpAddr = address.parse().expect("an address");
        let got = AddressPolicy::new(allow)
            .check_address(address)
            .err()
            .map(|e| e.range);
        assert_eq!(got, expected, "{address}");
    }

    #[test]
    fn public_addresses_pass() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "172.15.255.255",
            "172.32.0.0",
            "100.63.255.255",
        ] {
            check(address, None);
        }
        for address in [
            "100.128.0.0",
            "198.17.255.255",
            "223.255.255.255",
            "2606:4700::1111",
        ] {
            check(address, None);
        }
        check("2a00:1450:4001:830::200e", None);
    }

    #[test]
    fn special_ipv4_ranges_are_refused_to_their_edges() {
        use RefusedRange as R;
        let table = [
            ("0.0.0.0", R::Unspecified),
            ("0.255.255.255", R::Unspecified),
            ("10.0.0.0", R::Private),
            ("10.255.255.255", R::Private),
            ("100.64.0.0", R::SharedAddressSpace),
            ("100.127.255.255", R::SharedAddressSpace),
            ("100.100.100.200", R::Metadata),
            ("127.0.0.1", R::Loopback),
            ("127.255.255.254", R::Loopback),
            ("168.63.129.16", R::Metadata),
            ("169.254.0.1", R::LinkLocal),
            ("169.254.169.254", R::Metadata),
            ("169.254.170.2", R::Metadata),
            ("172.16.0.0", R::Private),
            ("172.31.255.255", R::Private),
            ("192.0.0.192", R::Metadata),
            ("192.0.0.8", R::Reserved),
            ("192.0.2.1", R::Documentation),
            ("192.88.99.1", R::Reserved),
            ("192.168.0.0", R::Private),
            ("192.168.255.255", R::Private),
            ("198.18.0.0", R::Benchmarking),
            ("198.19.255.255", R::Benchmarking),
            ("198.51.100.7", R::Documentation),
            ("203.0.113.7", R::Documentation),
            ("224.0.0.1", R::Multicast),
            ("239.255.255.255", R::Multicast),
            ("240.0.0.1", R::Reserved),
            ("255.255.255.255", R::Broadcast),
        ];
        for (address, range) in table {
            check(address, Some(range));
        }
    }

    #[test]
    fn special_ipv6_ranges_are_refused() {
        use RefusedRange as R;
        let table = [
            ("::", R::Unspecified),
            ("::1", R::Loopback),
            ("fd00:ec2::254", R::Metadata),
            ("fd20:ce::254", R::Metadata),
            ("fc00::1", R::UniqueLocal),
            ("fdff:ffff::1", R::UniqueLocal),
            ("fe80::1", R::LinkLocal),
            ("febf::1", R::LinkLocal),
            ("fec0::1", R::SiteLocal),
            ("ff02::1", R::Multicast),
            ("2001:db8::1", R::Documentation),
            ("3fff::1", R::Documentation),
            ("2001:2::1", R::Benchmarking),
            ("2001:20::1", R::Reserved),
            ("100::1", R::Reserved),
            ("5f00::1", R::Reserved),
            ("64:ff9b:1::a00:1", R::Reserved),
            ("64:ff9b:1::101:101", R::Reserved),
        ];
        for (address, range) in table {
            check(address, Some(range));
        }
    }

    #[test]
    fn an_ipv4_address_inside_an_ipv6_one_is_judged_by_its_own_range() {
        use RefusedRange as R;
        let table = [
            ("::ffff:127.0.0.1", Some(R::Loopback)),
            ("::ffff:169.254.169.254", Some(R::Metadata)),
            ("::ffff:8.8.8.8", None),
            ("::ffff:0:10.0.0.1", Some(R::Private)),
            ("::127.0.0.1", Some(R::Loopback)),
            ("::10.1.2.3", Some(R::Private)),
            ("64:ff9b::127.0.0.1", Some(R::Loopback)),
            ("64:ff9b::8.8.8.8", None),
            ("2002:7f00:1::", Some(R::Loopback)),
            ("2002:a9fe:a9fe::1", Some(R::Metadata)),
            ("2002:808:808::1", None),
            // Teredo: server 65.54.227.120, client 192.0.2.45 (RFC 4380's own kind of example).
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Some(R::Documentation)),
            ("2001:0:4136:e378:8000:63bf:f7f7:f7f7", None),
            ("2001:0:7f00:1:8000:63bf:f7f7:f7f7", Some(R::Loopback)),
            ("2606:4700::5efe:10.0.0.1", Some(R::Private)),
            ("2606:4700::200:5efe:10.0.0.1", Some(R::Private)),
        ];
        for (address, expected) in table {
            check(address, expected);
        }
    }

    #[test]
    fn an_allowed_network_overrides_the_refusal_of_its_addresses_only() {
        use RefusedRange as R;
        let loopback = ["127.0.0.0/8", "::1/128"];
        check_with(&loopback, "127.0.0.1", None);
        check_with(&loopback, "::1", None);
        check_with(&loopback, "::ffff:127.0.0.1", None);
        check_with(&loopback, "10.0.0.1", Some(R::Private));
        check_with(&loopback, "::2", Some(R::Unspecified));
        check_with(&["169.254.0.0/16"], "169.254.169.254", None);
        check_with(&["fd00::/8"], "fd00:ec2::254", None);
        check_with(&["64:ff9b:1::/48"], "64:ff9b:1::a00:1", None);
    }

    #[test]
    fn one_refused_address_refuses_the_name() {
        let policy = AddressPolicy::default();
        let both = ["8.8.8.8", "127.0.0.1"].map(|a| a.parse().expect("an address"));
        assert!(policy.check_all(&both).is_err());
        assert!(policy.check_all(&both[..1]).is_ok());
    }
}
