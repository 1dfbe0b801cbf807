//! Peer-to-peer chat that never loses a message.
//!
//! A [`Peer`] is one profile: an identity, its contacts and its messages, in one folder. It finds
//! its contacts through a signaling server, talks to them over WebRTC data channels, and leaves
//! what cannot be delivered at their relay until they are back. The library owns reconnection,
//! encryption, order and storage; a caller sends texts and reads events.
//!
//! ```no_run
//! use tincan_peer::{Event, Invite, Peer};
//! use tokio_stream::StreamExt as _;
//!
//! # async fn run(link: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let peer = Peer::builder().home("/home/ann/.tincan").server("https://chat.example").spawn().await?;
//! let mut events = peer.events(); // from where they were confirmed last
//! let contact = peer.add(link.parse::<Invite>()?).await?;
//! let id = peer.send(&contact, "hello").await?; // durable here; its states come as events
//! while let Some(event) = events.next().await.transpose()? {
//!     if let Event::Message(message) = event.event {
//!         println!("{}: {}", message.from, message.text);
//!     }
//!     peer.confirm(event.cursor).await?;
//! }
//! peer.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! What a caller may rely on: a message whose `send` has returned survives any crash. Transport is
//! at least once; what is shown is shown once, in its sender's order, and gaps are explicit.
//!
//! What it does not do: it brings no runtime (call it inside a tokio runtime of several threads),
//! and one profile is open in one process at a time ([`OpenError::InUse`]).

mod backup;
mod builder;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
mod driver;
mod error;
mod event;
mod home;
mod message;
mod names;
mod net;
mod peer;
#[cfg(feature = "cli")]
mod printable;
mod private;
pub mod rpc;
pub mod simulation;
mod status;
mod store;
#[cfg(feature = "tui")]
mod tui;

pub use backup::{BackupError, BackupReport};
pub use builder::{Builder, InitError, NewProfile, OpenError};
pub use error::{
    AcceptError, AddError, ChangeError, ContactError, InviteError, ReadError, SendError,
    ShutdownError,
};
pub use event::{Event, Events, LoggedEvent};
pub use home::{Home, HomeError};
pub use message::{
    Ask, Change, Contact, ContactChange, ContactStanding, DRAFT_MAX, Draft, HistoryItem,
    HistoryPart, Message, MessageState, Quote, RequestFrom, Shown, SignFrom, TimerChange,
    Verification,
};
pub use peer::{Identity, Peer};
pub use status::{ContactStatus, LinkStatus, OutboxStatus, ServerStatus, StatusReport};
pub use store::{ChangeName, DataKeyError, KeySource, KeyringError, StoreError};
pub use tincan_link::IcePolicy;
pub use tincan_protocol::IdentityId;
pub use tincan_protocol::MsgId;
pub use tincan_protocol::invite::{Invite, InviteError as InviteLinkError};
pub use tincan_protocol::origin::{ServerUrl, ServerUrlError};
pub use tincan_protocol::phrase::{Phrase, PhraseError};
pub use tincan_protocol::safety_number::{SafetyNumber, SafetyNumberError};
