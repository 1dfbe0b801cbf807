//! One side: a host, and the NAT before it if there is one; and what happens to its connection.

use anyhow::Result;

use super::namespace::Namespace;
use super::nat::Nat;

/// In every home the same, as it is: a host's own address is also the other's.
const HOST: &str = "192.168.1.2";
const HOST_LATER: &str = "192.168.1.77";
const PUBLIC_LATER: u8 = 77;
const NAT_INSIDE: &str = "192.168.1.1";

/// See the module.
#[derive(Debug)]
pub struct Side {
    host: Namespace,
    nat: Option<Namespace>,
    /// The host's own, with the length of its network.
    address: String,
    /// Where the host's packets go.
    gateway: String,
    /// The public network that it is in, without the last number.
    network: String,
}

impl Side {
    /// The side with this number, at an Internet's interface that is called after it.
    pub(super) fn new(internet: &Namespace, number: usize, kind: Nat) -> Result<Self> {
        let (network, interface) = (format!("9.1.{number}"), format!("side{number}"));
        let (gateway, ours) = (format!("{network}.1/24"), format!("{network}.2/24"));
        let theirs = (internet, interface.as_str(), gateway.as_str());
        let host = Namespace::new(&format!("host{number}"))?;
        let side = if kind == Nat::Public {
            Namespace::join(theirs, (&host, "net", &ours))?;
            Self {
                host,
                nat: None,
                address: ours,
                gateway: format!("{network}.1"),
                network,
            }
        } else {
            let nat = Namespace::new(&format!("nat{number}"))?;
            Namespace::join(theirs, (&nat, "wan", &ours))?;
            nat.ip(&format!("route add default via {network}.1"))?;
            let (inside, address) = (format!("{NAT_INSIDE}/24"), format!("{HOST}/24"));
            Namespace::join((&nat, "lan", &inside), (&host, "net", &address))?;
            nat.add_rules(&kind.rules(HOST))?;
            nat.forward()?;
            Self {
                host,
                nat: Some(nat),
                address,
                gateway: NAT_INSIDE.to_owned(),
                network,
            }
        };
        side.add_route()?;
        Ok(side)
    }

    fn add_route(&self) -> Result<()> {
        let gateway = &self.gateway;
        self.host.ip(&format!("route add default via {gateway}"))
    }

    /// Where its processes run.
    #[must_use]
    pub const fn host(&self) -> &Namespace {
        &self.host
    }

    /// The host gets another address from its NAT, and loses the one it had; so it also gets another
    /// mapping.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn change_address(&self) -> Result<()> {
        self.drop_address()?;
        self.host.ip(&format!("addr add {HOST_LATER}/24 dev net"))?;
        self.add_route()
    }

    /// The NAT gets another public address, as many homes do each night: every mapping is gone, and the
    /// host is told nothing. Nothing happens where there is no NAT.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn change_public_address(&self) -> Result<()> {
        let (Some(nat), network) = (&self.nat, &self.network) else {
            return Ok(());
        };
        nat.ip("addr flush dev wan")?;
        nat.ip(&format!("addr add {network}.{PUBLIC_LATER}/24 dev wan"))?;
        nat.ip(&format!("route add default via {network}.1"))
    }

    /// The host's interface goes down, and its routes with it.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn unplug(&self) -> Result<()> {
        self.host.ip("link set net down")
    }

    /// The host has no address any more: what most systems do about an interface that is down.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn drop_address(&self) -> Result<()> {
        self.host.ip("addr flush dev net")
    }

    /// The interface comes up again, with the address it had.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn plug_in(&self) -> Result<()> {
        self.host
            .ip(&format!("addr replace {} dev net", self.address))?;
        self.host.ip("link set net up")?;
        self.add_route()
    }

    /// Lets so much through, in each direction, with a queue of a tenth of a second before it.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn limit(&self, rate: &str) -> Result<()> {
        // A burst of ten full packets: `tbf` lets nothing through that is larger.
        let queue = format!("root tbf rate {rate} burst 15kb latency 100ms");
        self.host.tc(&format!("qdisc add dev net {queue}"))?;
        if let Some(nat) = &self.nat {
            nat.tc(&format!("qdisc add dev lan {queue}"))?;
        }
        Ok(())
    }
}
