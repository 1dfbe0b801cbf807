//! This machine's own addresses, as far as connections depend on them.
//!
//! A connection whose own address is gone is dead, and TCP does not say so: it sends on into nothing,
//! and only the server's silence would show it, much later. And where nothing could be reached, it
//! is time to dial again when the machine gets an address. Both are looked for at intervals, because
//! each system tells it in another way; a look sends nothing.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// Time between two looks. Chosen: a link takes 8 s until it is given up, so that messages do not wait
/// for this; and one look is a few system calls.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Ends when a connection's own address is not this machine's any more.
pub(super) async fn gone(own: SocketAddr) {
    while is_there(own) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Ends when this machine comes by other addresses than it has now.
pub(super) async fn changed() {
    let before = towards_internet();
    while towards_internet() == before {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Only an address that is there can be bound; whatever else may go wrong says nothing about it.
fn is_there(own: SocketAddr) -> bool {
    let mut any_port = own;
    any_port.set_port(0);
    let bound = UdpSocket::bind(any_port);
    !bound.is_err_and(|error| error.kind() == ErrorKind::AddrNotAvailable)
}

/// The addresses that packets to the Internet would come from. Connecting a UDP socket asks the
/// routing table and sends nothing; the targets are of the documentation ranges (RFC 5737, RFC 3849).
fn towards_internet() -> [Option<IpAddr>; 2] {
    let targets: [IpAddr; 2] = [
        Ipv4Addr::new(192, 0, 2, 1).into(),
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    ];
    targets.map(|target| {
        let any: IpAddr = match target {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect((target, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn an_address_of_this_machine_stays_and_another_is_gone_at_once() {
        let own = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(gone(own).now_or_never(), None);
        let other = SocketAddr::from(([192, 0, 2, 1], 9));
        assert_eq!(gone(other).now_or_never(), Some(()));
    }

    #[tokio::test]
    async fn a_port_in_use_says_nothing_about_its_address() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(gone(socket.local_addr().unwrap()).now_or_never(), None);
    }

    #[tokio::test]
    async fn addresses_that_stay_are_no_change() {
        assert_eq!(changed().now_or_never(), None);
    }
}
