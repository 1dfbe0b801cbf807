//! Where a server may be dialed.
//!
//! Contacts and invites name servers, so without a check they could have this program knock at
//! doors that only it can reach: services of this machine, a router, a cloud's metadata service.
//! Names are resolved here and nowhere else, and what is dialed are the addresses that were checked:
//! a name that leads elsewhere the next time gains nothing.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use tincan_protocol::origin::ServerUrl;
use tincan_protocol::special_range::special_range;

use super::socket::Lost;

/// The addresses of a server. Those that are not on the public Internet are left out, unless the
/// profile's own servers are, or are at addresses of the same kind: at home, or with `--dev`.
pub(super) async fn addresses_of(
    server: &ServerUrl,
    own: &[ServerUrl],
) -> Result<Vec<SocketAddr>, Lost> {
    let found = resolve(server).await?;
    if own.contains(server) {
        return Ok(found);
    }
    let checked = checked(found, own).await;
    checked.map_err(|(ip, range)| Lost::Special {
        server: server.clone(),
        ip,
        range,
    })
}

/// What may be dialed of the addresses that somebody else has named, or else the first one that may
/// not; `own` are the profile's own servers.
pub(super) async fn checked(
    found: Vec<SocketAddr>,
    own: &[ServerUrl],
) -> Result<Vec<SocketAddr>, (IpAddr, &'static str)> {
    if found.iter().all(|at| special_range(at.ip()).is_none()) {
        return Ok(found);
    }
    let mut ours = BTreeSet::new();
    for server in own {
        // One that cannot be resolved now allows nothing now.
        let addresses = resolve(server).await.unwrap_or_default();
        ours.extend(addresses.iter().filter_map(|at| special_range(at.ip())));
    }
    allowed(found, &ours)
}

/// What may be dialed of what was found, or else the first address that may not.
fn allowed(
    found: Vec<SocketAddr>,
    ours: &BTreeSet<&'static str>,
) -> Result<Vec<SocketAddr>, (IpAddr, &'static str)> {
    let mut refused = None;
    let mut addresses = found;
    addresses.retain(|at| match special_range(at.ip()) {
        Some(range) if !ours.contains(range) => {
            refused.get_or_insert((at.ip(), range));
            false
        }
        _ => true,
    });
    match refused {
        Some(refused) if addresses.is_empty() => Err(refused),
        _ => Ok(addresses),
    }
}

async fn resolve(server: &ServerUrl) -> Result<Vec<SocketAddr>, Lost> {
    let unknown = |reason: &dyn std::fmt::Display| {
        Lost::new(format_args!(
            "{server} cannot be reached: its name leads nowhere ({reason})"
        ))
    };
    let found = tokio::net::lookup_host(server.host_and_port()).await;
    let found: Vec<SocketAddr> = found.map_err(|error| unknown(&error))?.collect();
    if found.is_empty() {
        return Err(unknown(&"no address"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> ServerUrl {
        text.parse().unwrap()
    }

    async fn dialed(server: &str, own: &[&str]) -> Result<Vec<SocketAddr>, Lost> {
        let own: Vec<ServerUrl> = own.iter().map(|server| url(server)).collect();
        addresses_of(&url(server), &own).await
    }

    #[tokio::test]
    async fn regression_a_contact_s_server_in_a_private_network_is_not_dialed() {
        let own = ["https://1.1.1.1", "http://[2a00:1450::1]:8443"];
        let doors =
            "http://192.168.0.1 http://10.1.2.3:8080 http://172.16.0.1 http://127.0.0.1:6379
            http://2130706433 http://0x7f.1 http://0 http://localhost:6379 http://169.254.169.254
            http://100.64.0.1 http://224.0.0.1 http://[::1] http://[::] http://[fd00:ec2::254]
            http://[fe80::1] http://[ff02::1] http://[::ffff:127.0.0.1] http://[::ffff:1.1.1.1]
            http://[2002:7f00:1::1] http://[64:ff9b::10.0.0.1] http://[64:ff9b:1::10.0.0.1]";
        for door in doors.split_whitespace() {
            let refused = dialed(door, &own).await;
            assert!(
                matches!(refused, Err(Lost::Special { .. })),
                "{door}: {refused:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_server_on_the_internet_is_dialed_at_the_address_that_was_checked() {
        assert_eq!(
            dialed("http://9.9.9.9:80", &["http://127.0.0.1:1"])
                .await
                .unwrap(),
            [SocketAddr::from(([9, 9, 9, 9], 80))]
        );
    }

    #[tokio::test]
    async fn own_servers_open_their_kind_of_network_and_no_other() {
        let home = ["http://192.168.0.5:8443"];
        assert!(dialed(home[0], &home).await.is_ok());
        assert!(dialed("http://10.0.0.7:8443", &home).await.is_ok());
        assert!(dialed("http://127.0.0.1:6379", &home).await.is_err());
        assert!(dialed("http://169.254.169.254", &home).await.is_err());
        let dev = ["http://127.0.0.1:8443"];
        assert!(dialed("http://localhost:9000", &dev).await.is_ok());
        assert!(dialed("http://192.168.0.1", &dev).await.is_err());
    }

    #[test]
    fn of_mixed_addresses_only_the_allowed_ones_are_dialed() {
        let at = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let (public, private) = (at("1.1.1.1:443"), at("10.0.0.1:443"));
        let none = BTreeSet::new();
        assert_eq!(allowed(vec![private, public], &none), Ok(vec![public]));
        assert_eq!(
            allowed(vec![private], &none),
            Err((private.ip(), "private"))
        );
        let private_ones = BTreeSet::from(["private"]);
        assert_eq!(allowed(vec![private], &private_ones), Ok(vec![private]));
    }
}
