//! A signaling server that does with signals what it likes. Logins are checked as an honest one
//! does, so that the peers that are tested are what they are everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tincan_protocol::SignalAddress;
use tincan_protocol::origin::Origin;
use tincan_protocol::signal::{
    self, ClientMessage, Nonce, Opaque, SIGNAL_VERSION, ServerMessage, check_login,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio_tungstenite::tungstenite::Message;

/// One signal that a peer gave to the server.
#[derive(Clone, Debug)]
pub(crate) struct Knock {
    pub(crate) to: SignalAddress,
    pub(crate) from: SignalAddress,
    pub(crate) body: Vec<u8>,
}

/// What becomes of a signal: all that is delivered in its place.
type Policy = Box<dyn FnMut(Knock) -> Vec<Knock> + Send>;

/// See the module. It ends with its handle.
pub(crate) struct HostileServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    origin: Origin,
    state: Mutex<State>,
    /// How many signals have come.
    count: watch::Sender<usize>,
    /// All addresses that are held.
    held: watch::Sender<BTreeSet<SignalAddress>>,
}

#[derive(Default)]
struct State {
    policy: Option<Policy>,
    knocks: Vec<Knock>,
    /// Address -> number of the connection that holds it, and the way to it.
    held: BTreeMap<SignalAddress, (u64, mpsc::UnboundedSender<ServerMessage>)>,
    /// Who watches what, by number of the connection.
    watched: BTreeMap<u64, BTreeSet<SignalAddress>>,
    ways: BTreeMap<u64, mpsc::UnboundedSender<ServerMessage>>,
    next: u64,
}

impl HostileServer {
    /// Listens; honest until a policy is set.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            origin: Origin::from_host_header(&address.to_string()),
            state: Mutex::default(),
            count: watch::Sender::new(0),
            held: watch::Sender::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self {
            address,
            shared,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on this happens to signals.
    pub(crate) fn treat(&self, policy: impl FnMut(Knock) -> Vec<Knock> + Send + 'static) {
        self.shared.state().policy = Some(Box::new(policy));
    }

    /// From now on signals go where they should.
    pub(crate) fn be_honest(&self) {
        self.shared.state().policy = None;
    }

    /// Hands a signal to whoever holds its address; false if nobody does.
    pub(crate) fn deliver(&self, knock: Knock) -> bool {
        self.shared.state().deliver(knock)
    }

    /// Every signal that has come so far, in that order.
    pub(crate) fn knocks(&self) -> Vec<Knock> {
        self.shared.state().knocks.clone()
    }

    /// The first signal after these that fits; waits for it.
    pub(crate) async fn knock_after(
        &self,
        start: usize,
        limit: Duration,
        fits: impl Fn(&Knock) -> bool,
    ) -> Knock {
        let mut count = self.shared.count.subscribe();
        let found = async {
            loop {
                let seen = *count.borrow_and_update();
                let found = self.shared.state().knocks[start..]
                    .iter()
                    .find(|knock| fits(knock))
                    .cloned();
                if let Some(knock) = found {
                    return knock;
                }
                if *count.borrow() == seen {
                    count.changed().await.unwrap();
                }
            }
        };
        tokio::time::timeout(limit, found)
            .await
            .expect("a signal in time")
    }

    /// Waits until nobody is logged in.
    pub(crate) async fn nobody_there(&self, limit: Duration) {
        self.holders(limit, BTreeSet::is_empty).await;
    }

    /// The address that somebody holds, besides that of another; waits for it.
    pub(crate) async fn somebody_besides(
        &self,
        other: Option<SignalAddress>,
        limit: Duration,
    ) -> SignalAddress {
        let count = 1 + usize::from(other.is_some());
        let held = self.holders(limit, |held| held.len() == count).await;
        *held
            .iter()
            .find(|address| Some(**address) != other)
            .unwrap()
    }

    async fn holders(
        &self,
        limit: Duration,
        fits: impl Fn(&BTreeSet<SignalAddress>) -> bool,
    ) -> BTreeSet<SignalAddress> {
        let mut held = self.shared.held.subscribe();
        let held = tokio::time::timeout(limit, held.wait_for(fits)).await;
        held.expect("logins in time").unwrap().clone()
    }

    /// Tells everybody who watches an address whether it is there.
    pub(crate) fn claim(&self, address: SignalAddress, online: bool) {
        self.shared.state().tell(address, online);
    }
}

impl Drop for HostileServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn held_changed(&self) {
        let held = self.state().held.keys().copied().collect();
        self.held.send_replace(held);
    }
}

impl State {
    fn deliver(&self, knock: Knock) -> bool {
        let Knock { to, from, body } = knock;
        let body = Opaque(body);
        self.held
            .get(&to)
            .is_some_and(|(_, way)| way.send(ServerMessage::Signal { to, from, body }).is_ok())
    }

    fn tell(&self, address: SignalAddress, online: bool) {
        for (connection, watched) in &self.watched {
            if let Some(way) = self.ways.get(connection)
                && watched.contains(&address)
            {
                let _ = way.send(ServerMessage::Presence { address, online });
            }
        }
    }

    fn handle_signal(&mut self, knock: Knock) {
        self.knocks.push(knock.clone());
        let instead = match &mut self.policy {
            Some(policy) => policy(knock),
            None => vec![knock],
        };
        for knock in instead {
            self.deliver(knock);
        }
    }

    fn leave(&mut self, connection: u64) {
        self.ways.remove(&connection);
        self.watched.remove(&connection);
        let gone: Vec<_> = self
            .held
            .iter()
            .filter(|(_, (holder, _))| *holder == connection)
            .map(|(address, _)| *address)
            .collect();
        for address in gone {
            self.held.remove(&address);
            self.tell(address, false);
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    let nonce = Nonce(rand::random());
    let (way, mut out) = mpsc::unbounded_channel();
    let connection = {
        let mut state = shared.state();
        state.next += 1;
        let connection = state.next;
        state.ways.insert(connection, way.clone());
        connection
    };
    let version = SIGNAL_VERSION;
    let _ = way.send(ServerMessage::Challenge { nonce, version });
    loop {
        tokio::select! {
            Some(message) = out.recv() => {
                let text = signal::encode(&message).unwrap();
                if socket.send(Message::Text(text.into())).await.is_err() {
                    break;
                }
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let message = signal::decode(&text).expect("a signaling message");
                    handle(&shared, connection, &way, &nonce, message);
                    shared.held_changed();
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => break,
            },
        }
    }
    shared.state().leave(connection);
    shared.held_changed();
}

fn handle(
    shared: &Shared,
    connection: u64,
    way: &mpsc::UnboundedSender<ServerMessage>,
    nonce: &Nonce,
    message: ClientMessage,
) {
    let mut state = shared.state();
    match message {
        ClientMessage::Login { addresses } => {
            let proved: Vec<SignalAddress> = addresses
                .iter()
                .inspect(|proof| check_login(proof, nonce, &shared.origin).expect("a proof"))
                .map(|proof| proof.address)
                .collect();
            for &address in &proved {
                state.held.insert(address, (connection, way.clone()));
                state.tell(address, true);
            }
            let addresses = proved;
            let turn = None;
            let _ = way.send(ServerMessage::Welcome { addresses, turn });
        }
        ClientMessage::Logout { address } => {
            state.held.remove(&address);
            state.tell(address, false);
        }
        ClientMessage::Watch { addresses } => {
            for address in addresses {
                let online = state.held.contains_key(&address);
                state.watched.entry(connection).or_default().insert(address);
                let _ = way.send(ServerMessage::Presence { address, online });
            }
        }
        ClientMessage::Unwatch { addresses } => {
            for address in addresses {
                state
                    .watched
                    .entry(connection)
                    .or_default()
                    .remove(&address);
            }
        }
        ClientMessage::Signal { to, from, body } => {
            state.handle_signal(Knock {
                to,
                from,
                body: body.0,
            });
            let count = state.knocks.len();
            drop(state);
            shared.count.send_replace(count);
        }
        ClientMessage::Ping => {
            let _ = way.send(ServerMessage::Pong);
        }
        _ => {}
    }
}
