//! A peer connection: made for one session, closed once, never reused.

use std::fmt;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc::ice::mdns::MulticastDnsMode;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, RTCConfigurationBuilder, RTCIceCandidateInit,
    RTCIceCandidateType, RTCIceServer, RTCIceTransportPolicy, RTCSessionDescription, SettingEngine,
    SettingEngineBuilder, StatsSelector,
};

use super::TransportError;
use super::channel::{Channel, LABEL};
use super::notices::{Notice, Notifier};
use super::runtime::{PassRuntime, PathMode};
use crate::candidates::Candidate;
use crate::config::{IcePolicy, IceServer, LinkConfig};

/// Time between two connectivity checks of a pair: RFC 8445's 50 ms (webrtc's default is 200 ms).
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Checks of a pair before it is given up: 10 s. The answering side begins before the offering side
/// has the answer, and webrtc's default of 7 would be over before a slow signaling server has
/// delivered it.
const CHECKS_MAX: u16 = 200;

/// Nothing heard on the path for this long means that it is gone. The other side is asked every
/// two seconds; three questions may be lost, which is a phone changing its cell.
pub const PATH_LOST_AFTER: Duration = Duration::from_secs(8);

/// From lost to given up; the link is closed when the path is lost, so this only ends ICE.
const FAILED_AFTER: Duration = Duration::from_secs(12);

/// Time between two consent checks (RFC 7675 allows up to 5 s on average).
const KEEPALIVE: Duration = Duration::from_secs(2);

/// How the two sides are connected.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Path {
    /// Through a TURN server, of either side.
    pub(crate) relayed: bool,
    /// What the connectivity checks measured last.
    pub(crate) round_trip: Option<Duration>,
}

/// See the module.
pub(crate) struct Connection {
    inner: Option<Arc<dyn PeerConnection>>,
    mode: Arc<PathMode>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Binds sockets and makes a fresh certificate.
    pub(crate) async fn open(
        config: &LinkConfig,
        notices: mpsc::Sender<Notice>,
    ) -> Result<Self, TransportError> {
        let mode = Arc::new(PathMode::connecting());
        let inner = PeerConnectionBuilder::new()
            .with_configuration(configuration(config).build())
            .with_setting_engine(settings(config))
            .with_runtime(Arc::new(PassRuntime::new(Arc::clone(&mode))))
            .with_handler(Arc::new(Notifier::new(notices)))
            .with_udp_addrs(local_addresses(config.loopback))
            .build()
            .await
            .map_err(TransportError::doing("open a connection"))?;
        Ok(Self {
            inner: Some(Arc::new(inner)),
            mode,
        })
    }

    fn inner(&self) -> Result<&Arc<dyn PeerConnection>, TransportError> {
        self.inner.as_ref().ok_or_else(|| {
            TransportError::doing("use a closed connection")(
                webrtc::error::Error::ErrConnectionClosed,
            )
        })
    }

    /// Opens the channel that the offer will speak of.
    pub(crate) async fn create_channel(&self) -> Result<Channel, TransportError> {
        let channel = self.inner()?.create_data_channel(LABEL, None).await;
        channel
            .map(Channel::new)
            .map_err(TransportError::doing("open a channel"))
    }

    /// Makes an offer. Gathering begins, and candidates come as notices; the SDP has none.
    pub(crate) async fn create_offer(&self) -> Result<String, TransportError> {
        let failed = |error| TransportError::doing("make an offer")(error);
        let offer = self.inner()?.create_offer(None).await.map_err(failed)?;
        let sdp = offer.sdp.clone();
        self.inner()?
            .set_local_description(offer)
            .await
            .map_err(failed)?;
        Ok(sdp)
    }

    /// Takes an offer and makes the answer. Gathering and checks begin.
    pub(crate) async fn answer(&self, offer: String) -> Result<String, TransportError> {
        let failed = |error| TransportError::doing("answer the offer")(error);
        let offer = RTCSessionDescription::offer(offer).map_err(failed)?;
        self.checks_begin();
        self.inner()?
            .set_remote_description(offer)
            .await
            .map_err(failed)?;
        let answer = self.inner()?.create_answer(None).await.map_err(failed)?;
        let sdp = answer.sdp.clone();
        self.inner()?
            .set_local_description(answer)
            .await
            .map_err(failed)?;
        Ok(sdp)
    }

    /// Takes the answer. Checks begin.
    pub(crate) async fn take_answer(&self, answer: String) -> Result<(), TransportError> {
        let failed = |error| TransportError::doing("use the answer")(error);
        let answer = RTCSessionDescription::answer(answer).map_err(failed)?;
        self.checks_begin();
        self.inner()?
            .set_remote_description(answer)
            .await
            .map_err(failed)
    }

    fn checks_begin(&self) {
        if let Some(strangers) = self.mode.strangers() {
            strangers.checks_begin(Instant::now());
        }
    }

    /// Tries one more way to the other side. Only after its description has been taken.
    pub(crate) async fn add_candidate(&self, candidate: Candidate) -> Result<(), TransportError> {
        if let Some(strangers) = self.mode.strangers() {
            strangers.tell(candidate.host);
        }
        let candidate = RTCIceCandidateInit {
            candidate: candidate.line,
            ..RTCIceCandidateInit::default()
        };
        let added = self.inner()?.add_ice_candidate(candidate).await;
        added.map_err(TransportError::doing("add a candidate"))
    }

    /// SHA-256 of the certificate that the other side showed; `None` before the DTLS handshake.
    pub(crate) async fn remote_fingerprint(&self) -> Option<[u8; 32]> {
        let transport = self.inner.as_ref()?.sctp().await?.transport();
        let certificates = transport.get_remote_certificates().await.ok()?;
        certificates
            .first()
            .map(|certificate| Sha256::digest(certificate).into())
    }

    /// The path in use, once there is one; `relays` are the other side's addresses at TURN servers.
    /// From then on extra passes are made only for a path through a TURN server of this side.
    pub(crate) async fn settle_path(&self, relays: &[SocketAddr]) -> Option<Path> {
        let inner = self.inner.as_ref()?;
        let ice = inner.sctp().await?.transport().ice_transport();
        let pair = ice.get_selected_candidate_pair().await.ok()??;
        let is_relay = |candidate_type| candidate_type == RTCIceCandidateType::Relay;
        let own_relay = is_relay(pair.local().typ);
        let remote = pair.remote();
        let theirs = |relay: &SocketAddr| {
            relay.ip().to_string() == remote.address && relay.port() == remote.port
        };
        let relayed = own_relay || is_relay(remote.typ) || relays.iter().any(theirs);
        self.mode.settle(own_relay, relayed);
        let report = inner.get_stats(Instant::now(), StatsSelector::None).await;
        let round_trip = report
            .candidate_pairs()
            .filter(|pair| pair.nominated && pair.current_round_trip_time > 0.0)
            .map(|pair| Duration::from_secs_f64(pair.current_round_trip_time.min(60.0)))
            .min();
        Some(Path {
            relayed,
            round_trip,
        })
    }

    /// Has the connection look for messages that it has left in SCTP.
    pub(crate) fn nudge(&self) {
        self.mode.nudge();
    }

    /// Ends the connection and releases sockets, tasks and TURN allocations.
    pub(crate) async fn close(mut self) {
        if let Some(inner) = self.inner.take() {
            close(inner, &self.mode).await;
        }
    }
}

impl Drop for Connection {
    /// A connection that is dropped unclosed keeps its sockets and its driver for ever, so the rare
    /// ways past [`Connection::close`] (a runtime that shuts down, a panic) end here.
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let mode = Arc::clone(&self.mode);
            runtime.spawn(async move { close(inner, &mode).await });
        }
    }
}

async fn close(inner: Arc<dyn PeerConnection>, mode: &PathMode) {
    // `close` gives the driver 100 ms to release the TURN allocations, by a sleep that must be real.
    mode.end_passes();
    if let Err(error) = inner.close().await {
        tracing::debug!(%error, "connection did not close in order");
    }
}

fn configuration(config: &LinkConfig) -> RTCConfigurationBuilder {
    let servers = config.ice_servers.iter().map(ice_server).collect();
    let policy = match config.policy {
        IcePolicy::All => RTCIceTransportPolicy::All,
        IcePolicy::RelayOnly => RTCIceTransportPolicy::Relay,
    };
    RTCConfigurationBuilder::new()
        .with_ice_servers(servers)
        .with_ice_transport_policy(policy)
}

fn ice_server(server: &IceServer) -> RTCIceServer {
    let IceServer {
        urls,
        username,
        credential,
    } = server.clone();
    RTCIceServer {
        urls,
        username,
        credential,
    }
}

fn settings(config: &LinkConfig) -> SettingEngine {
    let settings = SettingEngineBuilder::new()
        .with_ice_timeouts(Some(PATH_LOST_AFTER), Some(FAILED_AFTER), Some(KEEPALIVE))
        .with_ice_connection_attempts(Some(CHECK_INTERVAL), Some(CHECKS_MAX))
        .with_include_loopback_candidate(config.loopback)
        // It would bind a multicast socket, which a host without a default route cannot, and resolve
        // names that the other side chose.
        .with_multicast_dns_mode(MulticastDnsMode::Disabled);
    // With other paths possible, a relayed one waits 2 s (webrtc's default) for a better one: what
    // is nominated stays.
    match config.policy {
        IcePolicy::All => settings.build(),
        IcePolicy::RelayOnly => settings
            .with_relay_acceptance_min_wait(Some(Duration::ZERO))
            .build(),
    }
}

/// Where to bind: a wildcard stands for every interface, but IPv4 alone has one on every machine.
fn local_addresses(loopback: bool) -> Vec<SocketAddr> {
    if loopback {
        return vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    }
    let mut addresses = vec![SocketAddr::from(([0, 0, 0, 0], 0))];
    addresses.extend(global_ipv6().map(|ip| SocketAddr::new(ip, 0)));
    addresses
}

/// The address that this machine would use towards the IPv6 internet, if there is one. Connecting a
/// UDP socket asks the routing table and sends nothing; the address is from the documentation range
/// (RFC 3849).
fn global_ipv6() -> Option<IpAddr> {
    let socket = UdpSocket::bind("[::]:0").ok()?;
    socket.connect("[2001:db8::1]:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;
    use rtc::ice::url::{ProtoType, SchemeType};
    use tincan_protocol::turn_url::TurnUrl;

    use super::*;

    fn hosts() -> impl Strategy<Value = String> {
        let v6 = any::<Ipv6Addr>().prop_map(|ip| format!("[{ip}]"));
        let v4 = any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string());
        prop_oneof![v6, v4, "[a-z0-9_-]{1,9}(\\.[a-z0-9-]{1,9}){0,3}"]
    }

    proptest! {
        /// One URL that the WebRTC crate refuses would prevent the link.
        #[test]
        fn urls_are_read_by_the_webrtc_crate_as_the_protocol_reads_them(
            scheme in "stun|turn",
            host in hosts(),
            port in 1_u16..,
        ) {
            let Ok(url) = format!("{scheme}:{host}:{port}").parse::<TurnUrl>() else {
                return Ok(());
            };
            let server = ice_server(&IceServer {
                urls: vec![url.to_string()],
                username: "u".to_owned(),
                credential: "c".to_owned(),
            });
            let read = server.urls().unwrap().remove(0);
            prop_assert_eq!(read.scheme == SchemeType::Turn, url.needs_credentials());
            prop_assert_eq!(read.proto, ProtoType::Udp);
            let (host, port) = url.host_and_port();
            prop_assert_eq!(read.port, port);
            match host.parse::<IpAddr>() {
                Ok(ip) => prop_assert_eq!(read.host.parse::<IpAddr>().unwrap(), ip),
                Err(_) => prop_assert_eq!(read.host, host),
            }
        }
    }
}
