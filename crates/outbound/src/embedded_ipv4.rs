//! IPv4 addresses that hide inside IPv6 addresses, and that the network unwraps again.
//!
//! It finds them; whether they may be connected to is decided in `address_policy`.

use std::net::{Ipv4Addr, Ipv6Addr};

/// At most two: a Teredo address carries its server's and its client's.
pub(crate) type Embedded = [Option<Ipv4Addr>; 2];

/// The IPv4 addresses that a connection to `address` may end at.
///
/// Known forms: IPv4-mapped and -translated (RFC 4291, RFC 2765), IPv4-compatible (RFC 4291,
/// deprecated), NAT64's well-known prefix (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380) and ISATAP
/// interface ids (RFC 5214). NAT64's local-use prefix `64:ff9b:1::/48` (RFC 8215) isn't unwrapped:
/// where the IPv4 address lies in it depends on the network, so it is refused as a whole.
pub(crate) fn embedded_ipv4(address: Ipv6Addr) -> Embedded {
    match address.segments() {
        // `::` and `::1` are IPv6's own, not IPv4-compatible ones.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None, None],
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => [Some(join(high, low)), None],
        [0, 0, 0, 0, 0xffff, 0, high, low] => [Some(join(high, low)), None],
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => [Some(join(high, low)), None],
        [0x2002, high, low, ..] => [Some(join(high, low)), None],
        [0x2001, 0, s_high, s_low, _, _, c_high, c_low] => {
            // The client's address is stored with all bits inverted (RFC 4380, section 4).
            [Some(join(s_high, s_low)), Some(join(!c_high, !c_low))]
        }
        [_, _, _, _, 0 | 0x0200, 0x5efe, high, low] => [Some(join(high, low)), None],
        _ => [None, None],
    }
}

/// Whether the IPv6 address is nothing but a way of writing the embedded one, or a translator's
/// address for it, so that it has no range of its own to be judged by.
pub(crate) fn only_wraps_ipv4(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => false,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] => true,
        [0, 0, 0, 0, 0xffff, 0, ..] => true,
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => true,
        [0x2002, ..] | [0x2001, 0, ..] => true,
        _ => false,
    }
}

fn join(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}
