//! Addresses that are not somewhere on the public Internet: who lets others choose where to connect
//! must not lead them into the networks of the own host.
//!
//! The ranges are the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its
//! updates) and multicast; of IPv6 only what is in global unicast space (2000::/3) passes, so that
//! a new special range outside it is refused before anybody has heard of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The special range an address is in, or `None` if it is a globally reachable unicast address.
#[must_use]
pub fn special_range(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => special_v4(ip),
        IpAddr::V6(ip) => special_v6(ip),
    }
}

/// Network, prefix length, name.
const SPECIAL_V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "unspecified"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "carrier-grade NAT"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    // Azure's host service: an address from public space that every virtual machine can reach.
    (Ipv4Addr::new(168, 63, 129, 16), 32, "cloud metadata"),
    // 169.254.169.254 is the metadata service of most clouds.
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "protocol assignments"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    // Includes the limited broadcast address.
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

fn special_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let within =
        |network: Ipv4Addr, prefix: u32| (ip.to_bits() ^ network.to_bits()) >> (32 - prefix) == 0;
    SPECIAL_V4
        .iter()
        .find(|(network, prefix, _)| within(*network, *prefix))
        .map(|(_, _, name)| *name)
}

/// Network, prefix length, name; all within 2000::/3.
const SPECIAL_V6: &[(Ipv6Addr, u32, &str)] = &[
    // Teredo, ORCHID, benchmarking, anycast services.
    (
        Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),
        23,
        "protocol assignments",
    ),
    (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        32,
        "documentation",
    ),
    (
        Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),
        20,
        "documentation",
    ),
];

fn special_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let segments = ip.segments();
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => return Some("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => return Some("loopback"),
        // On the wire an IPv4 host has an IPv4 address: other notations only serve to get past filters.
        [0, 0, 0, 0, 0, 0xffff, ..] => return Some("IPv4-mapped"),
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) reach the IPv4 address they carry.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => return special_v4(embedded(high, low)),
        [0x2002, high, low, ..] => return special_v4(embedded(high, low)),
        // ISATAP (RFC 5214), whatever network is in front of it.
        [_, _, _, _, 0 | 0x200, 0x5efe, _, _] => return Some("ISATAP"),
        _ => {}
    }
    if segments[0] & 0xff00 == 0xff00 {
        return Some("multicast");
    }
    if segments[0] & 0xfe00 == 0xfc00 {
        return Some("unique local");
    }
    if segments[0] & 0xffc0 == 0xfe80 {
        return Some("link-local");
    }
    if segments[0] & 0xe000 != 0x2000 {
        return Some("not global unicast");
    }
    let within =
        |network: Ipv6Addr, prefix: u32| (ip.to_bits() ^ network.to_bits()) >> (128 - prefix) == 0;
    SPECIAL_V6
        .iter()
        .find(|(network, prefix, _)| within(*network, *prefix))
        .map(|(_, _, name)| *name)
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_notation_is_known() {
        let table = "
            0.0.0.0 unspecified | 0.1.2.3 unspecified | 10.0.0.1 private | 10.255.255.255 private
            100.64.0.1 carrier-grade_NAT | 100.100.100.200 carrier-grade_NAT | 100.127.255.255 carrier-grade_NAT
            127.0.0.1 loopback | 127.255.0.1 loopback | 168.63.129.16 cloud_metadata
            169.254.169.254 link-local | 169.254.0.1 link-local | 172.16.0.1 private | 172.31.255.255 private
            192.0.0.192 protocol_assignments | 192.0.2.1 documentation | 192.88.99.1 6to4_relay
            192.168.0.1 private | 198.18.0.1 benchmarking | 198.19.255.255 benchmarking
            198.51.100.7 documentation | 203.0.113.7 documentation | 224.0.0.1 multicast | 239.255.255.255 multicast
            240.0.0.1 reserved | 255.255.255.255 reserved
            :: unspecified | ::1 loopback | ::2 not_global_unicast | ::127.0.0.1 not_global_unicast
            ::ffff:127.0.0.1 IPv4-mapped | ::ffff:8.8.8.8 IPv4-mapped | ::ffff:0:127.0.0.1 not_global_unicast
            64:ff9b::127.0.0.1 loopback | 64:ff9b::10.0.0.1 private | 64:ff9b::169.254.169.254 link-local
            64:ff9b:1::10.0.0.1 not_global_unicast | 100::1 not_global_unicast
            2002:7f00:1::1 loopback | 2002:a00:1:: private | 2002:a9fe:a9fe:: link-local | 2002:c0a8:1:5::7 private
            2001::1 protocol_assignments | 2001:10::1 protocol_assignments | 2001:20::1 protocol_assignments
            2001:db8::1 documentation | 3fff::1 documentation | 5f00::1 not_global_unicast
            2a00:1450::5efe:10.0.0.1 ISATAP | 2a00:1450::200:5efe:7f00:1 ISATAP
            fc00::1 unique_local | fd00:ec2::254 unique_local | fe80::1 link-local | febf::1 link-local
            fec0::1 not_global_unicast | ff02::1 multicast | ff05::1:3 multicast";
        for entry in table
            .split(['|', '\n'])
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            let (ip, range) = entry.split_once(' ').unwrap();
            let range = range.replace('_', " ");
            assert_eq!(
                special_range(ip.parse().unwrap()),
                Some(range.as_str()),
                "{ip}"
            );
        }
    }

    #[test]
    fn public_addresses_pass() {
        for ip in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "2a00:1450::1",
            "2001:4860:4860::8888",
            "2002:101:101::1",
            "64:ff9b::8.8.8.8",
        ] {
            assert_eq!(special_range(ip.parse().unwrap()), None, "{ip}");
        }
    }
}
