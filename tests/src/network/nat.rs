//! Kinds of NAT, made of iptables and conntrack.

use std::fmt;

/// What stands between a host and the Internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// Nothing: the host has a public address.
    Public,
    /// One mapping for every destination, and open to everybody (RFC 4787: endpoint-independent in
    /// mapping and filtering).
    FullCone,
    /// One mapping for every destination, and open to whom the host has sent to (endpoint-independent
    /// mapping, address- and port-dependent filtering): most homes.
    PortRestricted,
    /// Another port for each destination (address- and port-dependent in both): many companies and
    /// mobile networks.
    Symmetric,
    /// No UDP in either direction; TCP passes.
    UdpBlocked,
}

/// Only what the host has asked for comes in. Also to the NAT itself: else a packet that comes too
/// early would have an entry in conntrack, and take the mapping's place.
const ANSWERS_ONLY: &str = "*filter
-A INPUT -i wan -m conntrack --ctstate NEW -j DROP
-A FORWARD -i wan -m conntrack --ctstate NEW -j DROP
COMMIT
";

/// The source's own port, unless two of them are the same.
const SAME_PORT: &str = "*nat
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
";

const RANDOM_PORT: &str = "*nat
-A POSTROUTING -o wan -j MASQUERADE --random-fully
COMMIT
";

const NO_UDP: &str = "*filter
-A FORWARD -p udp -j DROP
COMMIT
";

impl Nat {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Public,
        Self::FullCone,
        Self::PortRestricted,
        Self::Symmetric,
        Self::UdpBlocked,
    ];

    /// Rules for a namespace with the host on one side and `wan` on the other.
    pub(super) fn rules(self, host: &str) -> String {
        match self {
            Self::Public => String::new(),
            Self::FullCone => format!(
                "{SAME_PORT}*nat\n-A PREROUTING -i wan -p udp -j DNAT --to-destination {host}\nCOMMIT\n"
            ),
            Self::PortRestricted => format!("{SAME_PORT}{ANSWERS_ONLY}"),
            Self::Symmetric => format!("{RANDOM_PORT}{ANSWERS_ONLY}"),
            Self::UdpBlocked => format!("{SAME_PORT}{ANSWERS_ONLY}{NO_UDP}"),
        }
    }
}

impl fmt::Display for Nat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "none",
            Self::FullCone => "full cone",
            Self::PortRestricted => "port-restricted",
            Self::Symmetric => "symmetric",
            Self::UdpBlocked => "UDP blocked",
        })
    }
}
