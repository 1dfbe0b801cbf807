//! Seeds for what `tincan-protocol` reads.

mod frames;
mod identity;
mod invites;
mod links;
mod said;
mod sealing;
mod signaling;
mod urls;

use tincan_protocol::origin::Origin;

pub(crate) use frames::requests;
pub use frames::{peer_frame, relay_reply, relay_request};
pub use identity::{device_cert, ids, phrase};
pub use invites::invite;
pub use links::{candidate, description, link_signal, sdp, statement};
pub use said::{content, envelope, payload};
pub use sealing::sealed_box;
pub use signaling::{client_message, server_message};
pub use urls::{server_url, turn_url};

fn origin() -> Origin {
    Origin::from_host_header("chat.example.org")
}
