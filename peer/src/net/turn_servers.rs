//! Where STUN and TURN servers may be asked.
//!
//! Those that a contact's signaling server names are doors as the server itself is, and the same ones
//! are closed ([`server_address`]). The WebRTC stack resolves names, so it gets the addresses that were
//! checked instead.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tincan_link::IceServer;
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::turn_url::TurnUrl;
use tokio::time::{Instant, timeout_at};

use super::handle::Dial;
use super::server_address;
use crate::driver::TurnServers;

/// A link begins without what is not resolved by then. Chosen: resolvers answer in a tenth of it, and the
/// other side waits ten times as long for an answer. One name after the other, so that a contact whose
/// names nobody resolves keeps one thread busy and not many.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a server is not asked.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("its name leads nowhere ({0})")]
    Unknown(io::Error),
    #[error("its name is not resolved in time")]
    Late,
    #[error("its address {ip} is {range}, which others could use to reach into your network")]
    Special { ip: IpAddr, range: &'static str },
}

/// What a link may use of what was named: of our own servers as it is, of others what may be asked.
pub(super) async fn ice_servers(named: Vec<TurnServers>) -> Vec<IceServer> {
    let deadline = Instant::now() + RESOLVE_TIMEOUT;
    let mut servers = Vec::new();
    for named in named {
        let Dial { server, own } = &named.named_by;
        let urls = if own.contains(server) {
            named.urls
        } else {
            checked(&named, deadline).await
        };
        if !urls.is_empty() {
            servers.push(IceServer {
                urls: urls.iter().map(ToString::to_string).collect(),
                username: named.username,
                credential: named.credential,
            });
        }
    }
    servers
}

async fn checked(named: &TurnServers, deadline: Instant) -> Vec<TurnUrl> {
    let Dial { server, own } = &named.named_by;
    let mut urls = Vec::new();
    for url in &named.urls {
        let addresses = timeout_at(deadline, addresses(url, own)).await;
        match addresses.unwrap_or(Err(Refused::Late)) {
            Ok(addresses) => urls.extend(one_of_each_family(&addresses).map(|ip| url.at(ip))),
            Err(refused) => {
                tracing::warn!(%server, %url, %refused, "a STUN or TURN server is not used");
            }
        }
    }
    urls
}

async fn addresses(url: &TurnUrl, own: &[ServerUrl]) -> Result<Vec<SocketAddr>, Refused> {
    let found = tokio::net::lookup_host(url.host_and_port()).await;
    let found = found.map_err(Refused::Unknown)?.collect();
    let checked = server_address::checked(found, own).await;
    checked.map_err(|(ip, range)| Refused::Special { ip, range })
}

/// As the WebRTC stack chooses among what a name leads to.
fn one_of_each_family(addresses: &[SocketAddr]) -> impl Iterator<Item = IpAddr> {
    let families = [SocketAddr::is_ipv4, SocketAddr::is_ipv6];
    let first = families.map(|is_of| addresses.iter().find(|at| is_of(at)).map(SocketAddr::ip));
    first.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a link gets if a contact's signaling server, or our own one, names these.
    async fn urls(server: &str, own: &str, urls: &[&str]) -> Vec<String> {
        let named = TurnServers {
            named_by: Dial {
                server: server.parse().unwrap(),
                own: [own.parse().unwrap()].into(),
            },
            urls: urls.iter().map(|url| url.parse().unwrap()).collect(),
            username: "u".to_owned(),
            credential: "c".to_owned(),
        };
        let servers = ice_servers(vec![named]).await;
        servers.into_iter().flat_map(|server| server.urls).collect()
    }

    const CONTACT: &str = "https://contact.example";

    #[tokio::test]
    async fn regression_turn_in_a_private_network_is_not_asked_for_a_contact_s_server() {
        let doors = "turn:192.168.0.1 stun:10.1.2.3:8080 turn:172.16.0.1:53 turn:127.0.0.1:161
            turn:localhost:9 stun:169.254.169.254 turn:100.64.0.1 turn:224.0.0.1 turn:0.0.0.0
            turn:[::1] turn:[fd00:ec2::254] turn:[fe80::1] turn:[::ffff:127.0.0.1]
            turn:[64:ff9b::10.0.0.1]";
        for door in doors.split_whitespace() {
            let got = urls(CONTACT, "https://1.1.1.1", &[door]).await;
            assert!(got.is_empty(), "{door}: {got:?}");
        }
    }

    #[tokio::test]
    async fn a_refused_one_takes_no_other_with_it() {
        let named = ["turn:10.0.0.1", "stun:9.9.9.9", "turn:[2a00:1450::1]:9"];
        assert_eq!(
            urls(CONTACT, "https://1.1.1.1", &named).await,
            ["stun:9.9.9.9:3478", "turn:[2a00:1450::1]:9?transport=udp"]
        );
    }

    #[tokio::test]
    async fn names_of_a_contact_s_server_are_replaced_by_the_address_that_was_checked() {
        let urls = urls(CONTACT, "http://127.0.0.1:8443", &["turn:localhost:9"]).await;
        let v4 = "turn:127.0.0.1:9?transport=udp".to_owned();
        assert!(urls.contains(&v4), "{urls:?}");
        assert!(
            urls.iter().all(|url| !url.contains("localhost")),
            "{urls:?}"
        );
    }

    #[tokio::test]
    async fn own_servers_name_whom_they_want_and_open_their_kind_of_network() {
        let home = "http://192.168.0.5:8443";
        let named = ["turn:turn.invalid", "stun:127.0.0.1"];
        assert_eq!(
            urls(home, home, &named).await,
            [
                "turn:turn.invalid:3478?transport=udp",
                "stun:127.0.0.1:3478"
            ]
        );
        let named = ["stun:192.168.0.9", "stun:127.0.0.1"];
        assert_eq!(urls(CONTACT, home, &named).await, ["stun:192.168.0.9:3478"]);
    }

    #[tokio::test]
    async fn a_name_that_leads_nowhere_is_left_out() {
        let named = ["turn:turn.invalid", "turn:9.9.9.9"];
        assert_eq!(
            urls(CONTACT, "https://1.1.1.1", &named).await,
            ["turn:9.9.9.9:3478?transport=udp"]
        );
    }

    #[test]
    fn of_many_addresses_the_first_of_each_family_is_asked() {
        let addresses = ["[2a00::1]:1", "9.9.9.9:1", "1.1.1.1:1", "[2a00::2]:1"];
        let addresses = addresses.map(|at| at.parse().unwrap());
        let asked: Vec<String> = one_of_each_family(&addresses)
            .map(|ip| ip.to_string())
            .collect();
        assert_eq!(asked, ["9.9.9.9", "2a00::1"]);
    }
}
