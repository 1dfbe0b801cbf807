//! The little that must be read from an ICE candidate before it is handed to the WebRTC stack.

use std::net::{IpAddr, SocketAddr};

/// The part of a candidate line (RFC 8839, 5.1) that decides whether it is of use:
/// `candidate:FOUNDATION COMPONENT TRANSPORT PRIORITY ADDRESS PORT typ TYPE ...`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CandidateLine {
    udp: bool,
    address: SocketAddr,
    relayed: bool,
}

impl CandidateLine {
    /// Reads a line, with or without `candidate:` in front. `None` if it is not one, or has a name in
    /// place of an address: that would have this machine ask a resolver of somebody else's choice.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (_, mut fields) = fields(line);
        let udp = fields.nth(2)?.eq_ignore_ascii_case("udp");
        let host: IpAddr = fields.nth(1)?.parse().ok()?;
        let port = fields.next()?.parse().ok()?;
        (fields.next()? == "typ").then_some(())?;
        let relayed = fields.next()? == "relay";
        Some(Self {
            udp,
            address: SocketAddr::new(host, port),
            relayed,
        })
    }

    /// Where packets to the candidate go.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether that is at a TURN server.
    #[must_use]
    pub const fn is_relayed(&self) -> bool {
        self.relayed
    }

    /// Whether it is a UDP address of one machine, and not one that stands for many, for none or (but for
    /// tests: `loopback`) for this one.
    #[must_use]
    pub fn is_usable(&self, loopback: bool) -> bool {
        let host = self.address.ip().to_canonical();
        let many = host.is_multicast() || host.is_unspecified() || is_broadcast(host);
        self.udp && self.address.port() != 0 && !many && (loopback || !host.is_loopback())
    }
}

fn is_broadcast(host: IpAddr) -> bool {
    matches!(host, IpAddr::V4(host) if host.is_broadcast())
}

/// Fields before those that come as a name and a value.
const EXTENSIONS: usize = 8;

/// The line with `raddr` and `rport` blanked, as RFC 8839 (5.1) allows for privacy.
#[must_use]
pub fn without_base(line: &str) -> String {
    let (prefix, fields) = fields(line);
    let mut fields: Vec<&str> = fields.collect();
    let named = fields.get_mut(EXTENSIONS..).unwrap_or_default();
    for pair in named.chunks_exact_mut(2) {
        match pair {
            ["raddr", value] => *value = "0.0.0.0",
            ["rport", value] => *value = "0",
            _ => {}
        }
    }
    format!("{prefix}{}", fields.join(" "))
}

/// `candidate:` if it is there, and what follows.
fn fields(line: &str) -> (&str, impl Iterator<Item = &str>) {
    let line = line.trim_ascii_start();
    let rest = line.strip_prefix("candidate:").unwrap_or(line);
    let (prefix, _) = line.split_at(line.len() - rest.len());
    (prefix, rest.split_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOST: &str = "candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host";
    const RELAYED: &str =
        "1 1 UDP 1 2001:db8::7 4000 typ relay raddr 192.168.1.5 rport 5000 generation 0";

    #[test]
    fn what_decides_is_read() {
        let host = CandidateLine::parse(HOST).unwrap();
        assert_eq!(host.address(), "192.0.2.1:4000".parse().unwrap());
        assert!(!host.is_relayed() && host.is_usable(false));
        let relayed = CandidateLine::parse(RELAYED).unwrap();
        assert_eq!(relayed.address(), "[2001:db8::7]:4000".parse().unwrap());
        assert!(relayed.is_relayed() && relayed.is_usable(false));
    }

    #[test]
    fn only_a_udp_address_of_one_other_machine_is_of_use() {
        for line in [
            "candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype passive",
            "candidate:1 1 udp 1 127.0.0.1 9 typ host",
            "candidate:1 1 udp 1 ::ffff:127.0.0.1 9 typ host",
            "candidate:1 1 udp 1 0.0.0.0 9 typ host",
            "candidate:1 1 udp 1 255.255.255.255 9 typ host",
            "candidate:1 1 udp 1 224.0.0.251 9 typ host",
            "candidate:1 1 udp 1 ff02::fb 9 typ host",
            "candidate:1 1 udp 1 192.0.2.1 0 typ host",
        ] {
            let line = CandidateLine::parse(line).unwrap();
            assert!(!line.is_usable(false), "{line:?}");
            let here = line.udp && line.address.ip().to_canonical().is_loopback();
            assert_eq!(line.is_usable(true), here, "{line:?}");
        }
    }

    #[test]
    fn a_name_and_half_a_line_are_no_candidates() {
        for line in [
            "candidate:1 1 udp 1 somewhere.example 9 typ host",
            "candidate:1 1 udp 1 0b5e.local 9 typ host",
            "candidate:1 1 udp 1 192.0.2.1 70000 typ host",
            "candidate:1 1 udp 1 192.0.2.1 9 type host",
            "candidate:1 1 udp 1 192.0.2.1 9 typ",
            "",
        ] {
            assert_eq!(CandidateLine::parse(line), None, "{line}");
        }
    }

    #[test]
    fn what_is_behind_a_candidate_can_be_hidden() {
        let hidden = "1 1 UDP 1 2001:db8::7 4000 typ relay raddr 0.0.0.0 rport 0 generation 0";
        assert_eq!(without_base(RELAYED), hidden);
        assert_eq!(without_base(HOST), HOST);
        assert_eq!(without_base(&format!("\n {HOST}")), HOST);
        // Names stand in their places alone.
        let named = "raddr rport 1 1 udp raddr 9 rport raddr 1 rport 2 generation raddr x rport";
        let hidden =
            "raddr rport 1 1 udp raddr 9 rport raddr 0.0.0.0 rport 0 generation raddr x rport";
        assert_eq!(without_base(named), hidden);
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "(candidate:|udp |typ |raddr |[0-9a-f.: é]){0,30}") {
            let _ = CandidateLine::parse(&line).map(|line| line.is_usable(true));
            let _ = without_base(&line);
        }
    }
}
