//! Ann and bob, each behind a NAT of some kind, and a public server with everything a server has.
//!
//! ```text
//! host1 -- nat1 --\
//!                  internet -- server
//! host2 -- nat2 --/
//! ```

use anyhow::Result;

use super::namespace::Namespace;
use super::nat::Nat;
use super::side::Side;
use crate::peer::Profile;
use crate::server::ServerOptions;
use crate::world::{World, acquaint};

/// The server's address. A public one: what is special is neither dialed nor relayed to.
const SERVER: &str = "9.9.9.9";
const SERVER_GATEWAY: &str = "9.9.9.1";

/// No packet to a private address travels the Internet, and none is answered.
const NO_PRIVATE: &str = "*filter
-A FORWARD -d 192.168.0.0/16 -j DROP
COMMIT
";

/// See the module.
#[derive(Debug)]
pub struct Bed {
    /// The server and the folder of it all. Its process ends before its namespace does.
    pub world: World,
    /// Ann's and bob's.
    pub sides: [Side; 2],
    internet: Namespace,
    _server: Namespace,
}

impl Bed {
    /// Two sides of these kinds, and a server that runs.
    ///
    /// # Errors
    /// If the system refuses something, or a program is missing.
    pub fn new(kinds: [Nat; 2]) -> Result<Self> {
        let internet = Namespace::new("internet")?;
        internet.add_rules(NO_PRIVATE)?;
        internet.forward()?;
        let server = Namespace::new("server")?;
        let (gateway, own) = (format!("{SERVER_GATEWAY}/24"), format!("{SERVER}/24"));
        Namespace::join((&internet, "server", &gateway), (&server, "net", &own))?;
        server.ip(&format!("route add default via {SERVER_GATEWAY}"))?;
        let sides = [
            Side::new(&internet, 1, kinds[0])?,
            Side::new(&internet, 2, kinds[1])?,
        ];
        let world = World::with(ServerOptions {
            namespace: Some(server.name().to_owned()),
            listen: Some(format!("{SERVER}:8443")),
            args: vec!["--turn-listen".to_owned(), format!("{SERVER}:3478")],
            ..ServerOptions::default()
        })?;
        Ok(Self {
            world,
            sides,
            internet,
            _server: server,
        })
    }

    /// Ann on the first side and bob on the second, who are contacts; no process runs either of them.
    ///
    /// # Errors
    /// If they do not become contacts.
    pub fn ann_and_bob(&self) -> Result<(Profile, Profile)> {
        let profile = |name: &str, side: &Side| {
            let profile = self.world.profile(name)?;
            anyhow::Ok(profile.in_namespace(side.host().name()))
        };
        let ann = profile("ann", &self.sides[0])?;
        let bob = profile("bob", &self.sides[1])?;
        acquaint(&ann, &bob)?;
        Ok((ann, bob))
    }

    /// Loses this share of all packets, wherever they come from and go to.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn lose(&self, share: f64) -> Result<()> {
        self.internet.add_rules(&format!(
            "*filter\n-I FORWARD -m statistic --mode random --probability {share} -j DROP\nCOMMIT\n"
        ))
    }

    /// Takes the server off the Internet. The peers reach each other as before.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn cut_server_off(&self) -> Result<()> {
        self.internet.ip("link set server down")
    }

    /// And back.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn bring_server_back(&self) -> Result<()> {
        self.internet.ip("link set server up")
    }
}
