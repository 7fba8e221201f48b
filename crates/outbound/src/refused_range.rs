//! The address ranges that no webhook may be sent to unless the operator says so.
//!
//! The tables are IANA's special-purpose registries (RFC 6890 and its updates) and the metadata
//! addresses of clouds that lie outside of them. It knows plain addresses only: what is embedded in
//! an IPv6 address is unwrapped in `embedded_ipv4`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Why an address is refused: the kind of range that it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusedRange {
    /// `0.0.0.0/8`, `::`: this host.
    Unspecified,
    /// `127.0.0.0/8`, `::1`.
    Loopback,
    /// RFC 1918.
    Private,
    /// `100.64.0.0/10` (RFC 6598), carrier-grade NAT; some clouds keep their metadata there.
    SharedAddressSpace,
    /// `169.254.0.0/16`, `fe80::/10`.
    LinkLocal,
    /// Addresses from which clouds give out credentials and settings.
    Metadata,
    /// `fc00::/7` (RFC 4193).
    UniqueLocal,
    /// `fec0::/10`, deprecated but still routed inside some networks.
    SiteLocal,
    /// `224.0.0.0/4`, `ff00::/8`.
    Multicast,
    /// `255.255.255.255`.
    Broadcast,
    /// RFC 5737, RFC 3849, RFC 9637.
    Documentation,
    /// `198.18.0.0/15` (RFC 2544), `2001:2::/48` (RFC 5180).
    Benchmarking,
    /// Set aside by IANA for protocols or for the future; never a public receiver.
    Reserved,
}

impl RefusedRange {
    /// The words used in an attempt's error detail.
    pub fn label(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::SharedAddressSpace => "shared (carrier-grade NAT)",
            Self::LinkLocal => "link-local",
            Self::Metadata => "cloud metadata",
            Self::UniqueLocal => "unique local",
            Self::SiteLocal => "site-local",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::Reserved => "reserved",
        }
    }
}

impl fmt::Display for RefusedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

const fn net4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn net6(head: [u16; 4], last: u16, prefix: u8) -> Ipv6Net {
    let address = Ipv6Addr::new(head[0], head[1], head[2], head[3], 0, 0, 0, last);
    Ipv6Net::new_assert(address, prefix)
}

/// First match wins, so a narrower range stands before the wider one that holds it.
const REFUSED_IPV4: &[(Ipv4Net, RefusedRange)] = &[
    (net4(0, 0, 0, 0, 8), RefusedRange::Unspecified),
    (net4(10, 0, 0, 0, 8), RefusedRange::Private),
    // Alibaba Cloud's metadata service.
    (net4(100, 100, 100, 200, 32), RefusedRange::Metadata),
    (net4(100, 64, 0, 0, 10), RefusedRange::SharedAddressSpace),
    (net4(127, 0, 0, 0, 8), RefusedRange::Loopback),
    // Azure's wire server: in public space, yet answered by the host that one runs on.
    (net4(168, 63, 129, 16, 32), RefusedRange::Metadata),
    // AWS, Azure, Google Cloud, DigitalOcean and others; ECS's task credentials.
    (net4(169, 254, 169, 254, 32), RefusedRange::Metadata),
    (net4(169, 254, 170, 2, 32), RefusedRange::Metadata),
    (net4(169, 254, 0, 0, 16), RefusedRange::LinkLocal),
    (net4(172, 16, 0, 0, 12), RefusedRange::Private),
    // Oracle Cloud's older metadata address lies in the protocol assignments.
    (net4(192, 0, 0, 192, 32), RefusedRange::Metadata),
    (net4(192, 0, 0, 0, 24), RefusedRange::Reserved),
    (net4(192, 0, 2, 0, 24), RefusedRange::Documentation),
    (net4(192, 88, 99, 0, 24), RefusedRange::Reserved),
    (net4(192, 168, 0, 0, 16), RefusedRange::Private),
    (net4(198, 18, 0, 0, 15), RefusedRange::Benchmarking),
    (net4(198, 51, 100, 0, 24), RefusedRange::Documentation),
    (net4(203, 0, 113, 0, 24), RefusedRange::Documentation),
    (net4(224, 0, 0, 0, 4), RefusedRange::Multicast),
    (net4(255, 255, 255, 255, 32), RefusedRange::Broadcast),
    (net4(240, 0, 0, 0, 4), RefusedRange::Reserved),
];

/// First match wins. What is outside of `2000::/3` and not named here is `Reserved`.
const REFUSED_IPV6: &[(Ipv6Net, RefusedRange)] = &[
    (net6([0, 0, 0, 0], 0, 128), RefusedRange::Unspecified),
    (net6([0, 0, 0, 0], 1, 128), RefusedRange::Loopback),
    // AWS and Google Cloud keep theirs in unique local space.
    (net6([0xfd00, 0x0ec2, 0, 0], 0x0254, 128), RefusedRange::Metadata),
    (net6([0xfd20, 0x00ce, 0, 0], 0x0254, 128), RefusedRange::Metadata),
    (net6([0xfc00, 0, 0, 0], 0, 7), RefusedRange::UniqueLocal),
    (net6([0xfe80, 0, 0, 0], 0, 10), RefusedRange::LinkLocal),
    (net6([0xfec0, 0, 0, 0], 0, 10), RefusedRange::SiteLocal),
    (net6([0xff00, 0, 0, 0], 0, 8), RefusedRange::Multicast),
    (net6([0x2001, 0x0db8, 0, 0], 0, 32), RefusedRange::Documentation),
    (net6([0x3fff, 0, 0, 0], 0, 20), RefusedRange::Documentation),
    (net6([0x2001, 0x0002, 0, 0], 0, 48), RefusedRange::Benchmarking),
    // The rest of the protocol assignments (ORCHID, AS112, anycast relays).
    (net6([0x2001, 0, 0, 0], 0, 23), RefusedRange::Reserved),
];

/// The only part of IPv6 from which IANA gives out public unicast addresses.
const GLOBAL_UNICAST_IPV6: Ipv6Net = net6([0x2000, 0, 0, 0], 0, 3);

/// The refused range that an IPv4 address lies in, if any.
pub(crate) fn refused_ipv4(address: Ipv4Addr) -> Option<RefusedRange> {
    let found = REFUSED_IPV4.iter().find(|(net, _)| net.contains(&address));
    found.map(|(_, range)| *range)
}

/// The refused range that an IPv6 address lies in, if any, taking the address as it is written.
pub(crate) fn refused_ipv6(address: Ipv6Addr) -> Option<RefusedRange> {
    let found = REFUSED_IPV6.iter().find(|(net, _)| net.contains(&address));
    match found {
        Some((_, range)) => Some(*range),
        None if GLOBAL_UNICAST_IPV6.contains(&address) => None,
        None => Some(RefusedRange::Reserved),
    }
}
